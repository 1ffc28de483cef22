//! Somebody who asks for one text after the other, while something happens to the model.

#![allow(clippy::unwrap_used, reason = "a test that cannot ask fails")]
// Every suite that includes this file uses another part of it.
#![allow(dead_code)]

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::scene::{DEADLINE, PIPELINE, Scene, pointer};

/// Asks until it is dropped.
pub struct Asking {
    asked: watch::Sender<Vec<String>>,
    asking: JoinHandle<()>,
}

impl Asking {
    pub async fn start(scene: &Scene) -> Self {
        let gateway = scene.gateway("author").await;
        let asked = watch::Sender::new(Vec::new());
        let told = asked.clone();
        let asking = tokio::spawn(async move {
            loop {
                let preview = gateway.preview(PIPELINE, &pointer(1)).await.unwrap();
                told.send_modify(|asked| asked.push(preview.more["slots"].to_string()));
            }
        });
        Self { asked, asking }
    }

    /// Waits for so many further texts.
    pub async fn more(&self, count: usize) -> Vec<String> {
        let mut asked = self.asked.subscribe();
        let before = asked.borrow().len();
        let enough = asked.wait_for(|asked| asked.len() >= before + count);
        let asked = tokio::time::timeout(DEADLINE, enough)
            .await
            .unwrap()
            .unwrap();
        asked.iter().skip(before).cloned().collect()
    }

    /// Every text so far.
    pub fn all(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.asking.abort();
    }
}
