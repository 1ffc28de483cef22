use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::delivery::{Counts, Delivery, Outcome, Post, Received};
use super::journal::Journal;

/// All that arrived, in memory and, if wanted, in a journal.
#[derive(Debug, Default)]
pub struct Store {
    counts: Counts,
    deliveries: Vec<Delivery>,
    /// Positions in `deliveries`.
    by_id: HashMap<String, usize>,
    journal: Option<Journal>,
}

impl Store {
    pub fn open(path: &Path) -> io::Result<Self> {
        let (journal, posts) = Journal::open(path)?;
        let mut store = Self::default();
        for post in posts {
            store.apply(post);
        }
        store.journal = Some(journal);
        Ok(store)
    }

    /// Writes the post down, then counts it. `None` for posts that carry no document.
    pub fn record(&mut self, post: Post) -> io::Result<Option<Outcome>> {
        if let Some(journal) = &mut self.journal {
            journal.append(&post)?;
        }
        Ok(self.apply(post))
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// In the order of arrival.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// By id; a document posted to `/deliveries/mail` is also read back at `/deliveries/mail/{id}`.
    pub fn get(&self, path: &str) -> Option<&Delivery> {
        let last = path.rsplit('/').next().unwrap_or(path);
        let at = self.by_id.get(path).or_else(|| self.by_id.get(last))?;
        self.deliveries.get(*at)
    }

    fn apply(&mut self, post: Post) -> Option<Outcome> {
        self.counts.posts += 1;
        match post {
            Post::Received(received) => Some(self.receive(received)),
            Post::Rejected => {
                self.counts.rejected += 1;
                None
            }
            Post::Failed => {
                self.counts.failed += 1;
                None
            }
        }
    }

    fn receive(&mut self, post: Received) -> Outcome {
        let known = self
            .by_id
            .get(&post.id)
            .and_then(|at| self.deliveries.get_mut(*at));
        let Some(known) = known else {
            self.counts.documents += 1;
            self.by_id.insert(post.id.clone(), self.deliveries.len());
            self.deliveries.push(Delivery {
                id: post.id,
                digest: post.digest,
                path: post.path,
                content_type: post.content_type,
                body: post.body,
                posts: 1,
                first_received_ms: post.time_ms,
                last_received_ms: post.time_ms,
            });
            return Outcome::New;
        };
        known.posts += 1;
        known.last_received_ms = post.time_ms;
        if known.digest == post.digest {
            self.counts.duplicates += 1;
            Outcome::Duplicate
        } else {
            self.counts.conflicts += 1;
            Outcome::Conflict
        }
    }
}
