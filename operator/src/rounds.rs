//! Watches miss nothing, but a bug might: every object is looked at again once an hour, reading only. A
//! round asks for a few objects each minute, so that none at rest needs a timer.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use futures::{Stream, stream};
use kube::{
    Resource,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::time::{Instant, Interval, interval_at};

use crate::triggers::Requests;

/// Between two looks at an object of which nothing is heard.
pub const ROUND: Duration = Duration::from_hours(1);

const TURNS: u32 = 60;

struct Rounds<K>
where
    K: Resource + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    requests: Requests<K>,
    store: Store<K>,
    /// Nobody is asked for without.
    ticks: Option<Interval>,
    turn: u32,
    asked: VecDeque<ObjectRef<K>>,
}

/// The requests, and each object of the store once in `round`, if there is one. Ends with the requests.
pub fn rounds<K>(
    requests: Requests<K>,
    store: Store<K>,
    round: Option<Duration>,
) -> impl Stream<Item = ObjectRef<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let each = round.map(|round| round / TURNS);
    let rounds = Rounds {
        requests,
        store,
        ticks: each.map(|each| interval_at(Instant::now() + each, each)),
        turn: 0,
        asked: VecDeque::new(),
    };
    stream::unfold(rounds, |mut rounds| async move {
        loop {
            if let Some(asked) = rounds.asked.pop_front() {
                return Some((asked, rounds));
            }
            tokio::select! {
                request = rounds.requests.recv() => return request.map(|request| (request, rounds)),
                () = tick(&mut rounds.ticks) => {
                    rounds.asked = of_turn(&rounds.store, rounds.turn);
                    rounds.turn = (rounds.turn + 1) % TURNS;
                }
            }
        }
    })
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

fn of_turn<K>(store: &Store<K>, turn: u32) -> VecDeque<ObjectRef<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let objects = store.state();
    let due = objects
        .iter()
        .filter(|object| turn_of(object.as_ref()) == turn);
    due.map(|object| ObjectRef::from_obj(object.as_ref()))
        .collect()
}

fn turn_of<K: Resource>(object: &K) -> u32 {
    let (meta, mut hasher) = (object.meta(), DefaultHasher::new());
    (&meta.namespace, &meta.name).hash(&mut hasher);
    u32::try_from(hasher.finish() % u64::from(TURNS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{collections::BTreeSet, pin::pin};

    use futures::StreamExt;
    use kube::runtime::{reflector, watcher::Event};
    use tokio::sync::mpsc;

    use super::*;
    use crate::triggers::NamespaceMeta;

    fn store_of(names: &[String]) -> Store<NamespaceMeta> {
        let (store, mut writer) = reflector::store();
        for name in names {
            let mut namespace = NamespaceMeta::default();
            namespace.metadata.name = Some(name.clone());
            writer.apply_watcher_event(&Event::Apply(namespace));
        }
        store
    }

    #[test]
    fn every_object_has_one_turn_of_a_round() {
        let names: Vec<String> = (0..500).map(|index| format!("team-{index}")).collect();
        let store = store_of(&names);
        let turns = (0..TURNS).map(|turn| of_turn(&store, turn));
        let asked: Vec<String> = turns.flatten().map(|object| object.name).collect();
        assert_eq!(asked.len(), names.len());
        let asked: BTreeSet<String> = asked.into_iter().collect();
        assert_eq!(asked, names.into_iter().collect());
    }

    #[tokio::test]
    async fn requests_pass_between_rounds_and_their_end_is_the_end() {
        let (sender, requests) = mpsc::unbounded_channel();
        let store = store_of(&["quiet".to_owned()]);
        let mut asked = pin!(rounds(requests, store, Some(Duration::from_millis(60))));
        assert_eq!(asked.next().await.unwrap().name, "quiet");
        sender.send(ObjectRef::new("new")).unwrap();
        while asked.next().await.unwrap().name != "new" {}
        drop(sender);
        while let Some(object) = asked.next().await {
            assert_eq!(object.name, "quiet");
        }
    }
}
