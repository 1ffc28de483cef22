//! Waiting for what will become true, for so long and no longer.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::runtime::wait::{self, Condition};
use kube::{Api, Resource};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Probes until there is a value. `None` and errors both mean "not yet"; the
/// last error is told when the deadline has passed.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    loop {
        match tokio::time::timeout(deadline.saturating_sub(begun.elapsed()), probe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = last.or_else(|| Some(anyhow!("the last attempt did not answer"))),
        }
        if begun.elapsed() + pause > deadline {
            let why = last.map(|error| format!(": {error:#}")).unwrap_or_default();
            bail!("not within {deadline:?}: {what}{why}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Watches one object until it meets a condition; the error shows it as it was.
pub async fn await_condition<K>(
    api: &Api<K>,
    name: &str,
    deadline: Duration,
    condition: impl Condition<K>,
) -> Result<Option<K>>
where
    K: Clone + Debug + Send + DeserializeOwned + Resource + 'static,
{
    match tokio::time::timeout(
        deadline,
        wait::await_condition(api.clone(), name, condition),
    )
    .await
    {
        Ok(outcome) => Ok(outcome?),
        Err(_) => bail!(
            "{name} not as awaited within {deadline:?}; it is {:#?}",
            api.get_opt(name).await?
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_ends_the_wait() {
        let mut attempts = 0;
        let value = eventually("three attempts", Duration::from_secs(5), async || {
            attempts += 1;
            if attempts == 1 {
                bail!("not yet");
            }
            Ok((attempts == 3).then_some(attempts))
        });
        assert_eq!(value.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn the_deadline_tells_the_last_error_even_if_a_probe_hangs() {
        let mut first = true;
        let outcome = eventually::<()>("the impossible", Duration::from_millis(100), async || {
            if !std::mem::take(&mut first) {
                std::future::pending::<()>().await;
            }
            bail!("because so")
        });
        let said = outcome.await.unwrap_err().to_string();
        assert!(
            said.contains("the impossible") && said.contains("because so"),
            "{said}"
        );
    }
}
