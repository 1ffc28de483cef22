//! Where each group of a model is reached by itself, as the operator says, and which of them takes a call.

use std::{collections::HashMap, sync::Arc};

use aios_proto::control;
use arc_swap::ArcSwap;
use reqwest::Url;

use crate::snapshot::Model;

/// Addresses of groups, by model. Swapped whole, read without a lock.
#[derive(Default)]
pub struct Replicas(ArcSwap<HashMap<String, Arc<[String]>>>);

impl Replicas {
    /// Puts in force what the operator says, instead of what it said before.
    pub fn put(&self, told: control::Replicas) {
        let models = told.models.into_iter().map(|model| {
            let addresses = model.addresses.into_iter().filter(|address| {
                let url = Url::parse(address);
                url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            });
            (model.model, addresses.collect())
        });
        self.0.store(Arc::new(models.collect()));
    }

    /// Those of a model; none where there are no two, for its Service leads to one as well.
    pub fn of(&self, model: &str) -> Option<Arc<[String]>> {
        let known = self.0.load();
        let several = known.get(model).filter(|addresses| addresses.len() > 1);
        several.cloned()
    }
}

/// Two groups that are asked before the Service that leads to them; none where there are no two.
#[derive(Clone, Copy)]
pub struct Picked<'a>([Option<&'a str>; 2]);

impl<'a> Picked<'a> {
    /// Of these groups, by their calls under way.
    pub fn of(groups: Option<&'a [String]>, load: impl Fn(&str) -> usize) -> Self {
        let draw = |count| rand::random_range(0..count);
        Self(groups.map_or([None; 2], |groups| pick(groups, load, draw)))
    }

    /// All addresses of a call that stands there among a hundred, in order.
    pub fn and_others(self, model: &'a Model, stand: u32) -> impl Iterator<Item = &'a str> {
        let service = model.endpoints.first();
        model.addresses(stand).flat_map(move |address| {
            let leads_there = service.is_some_and(|service| service == address);
            let groups = self.0.into_iter().flatten();
            groups.filter(move |_| leads_there).chain([address])
        })
    }

    /// Where a call to an address goes when it is sent a second time.
    pub fn again(self, address: &'a str) -> &'a str {
        match self.0 {
            [Some(one), Some(other)] if one == address => other,
            _ => address,
        }
    }
}

/// The less loaded of two at random first: with many callers that know only their own calls, the least loaded of
/// all would be everybody's.
fn pick(
    addresses: &[String],
    load: impl Fn(&str) -> usize,
    mut random: impl FnMut(usize) -> usize,
) -> [Option<&str>; 2] {
    if addresses.len() < 2 {
        return [addresses.first().map(String::as_str), None];
    }
    let one = random(addresses.len());
    // Any of the others, each as likely.
    let other = (one + 1 + random(addresses.len() - 1)) % addresses.len();
    let at = |index: usize| addresses.get(index).map(String::as_str);
    let loaded = |index: usize| at(index).map_or(usize::MAX, &load);
    if loaded(other) < loaded(one) {
        [at(other), at(one)]
    } else {
        [at(one), at(other)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aios_proto::control;

    use super::{Replicas, pick};

    fn told(addresses: &[&str]) -> control::Replicas {
        control::Replicas {
            models: vec![control::ModelReplicas {
                model: "m".into(),
                addresses: addresses.iter().map(|&address| address.into()).collect(),
            }],
        }
    }

    #[test]
    fn what_was_told_last_counts_and_what_is_no_address_does_not() {
        let replicas = Replicas::default();
        replicas.put(told(&[
            "https://10.0.0.1:8443",
            "nonsense",
            "https://[fd00::1]:8443",
        ]));
        let known = replicas.of("m").unwrap();
        assert_eq!(*known, ["https://10.0.0.1:8443", "https://[fd00::1]:8443"]);
        assert!(replicas.of("n").is_none());
        replicas.put(told(&["https://10.0.0.1:8443"]));
        assert!(
            replicas.of("m").is_none(),
            "one is the Service's to lead to"
        );
        replicas.put(control::Replicas::default());
        assert!(replicas.of("m").is_none());
    }

    #[test]
    fn of_two_at_random_the_less_loaded_is_first_and_each_has_its_turn() {
        let addresses = ["a", "b", "c"].map(str::to_owned);
        let loads = HashMap::from([("a", 3), ("b", 1), ("c", 2)]);
        let mut firsts: HashMap<&str, usize> = HashMap::new();
        for one in 0..3 {
            for other in 0..2 {
                let mut drawn = [one, other].into_iter();
                let picked = pick(&addresses, |at| loads[at], |_| drawn.next().unwrap());
                let [Some(first), Some(second)] = picked else {
                    panic!("{picked:?}");
                };
                assert!(loads[first] < loads[second]);
                *firsts.entry(first).or_default() += 1;
            }
        }
        // The least loaded of all is in four pairs of six, the one between in the other two, the most loaded never.
        assert_eq!(firsts, HashMap::from([("b", 4), ("c", 2)]));
    }

    #[test]
    fn equals_take_turns_by_chance() {
        let addresses = ["a", "b"].map(str::to_owned);
        assert_eq!(pick(&addresses, |_| 0, |_| 0), [Some("a"), Some("b")]);
        let mut drawn = [1, 0].into_iter();
        let picked = pick(&addresses, |_| 0, |_| drawn.next().unwrap());
        assert_eq!(picked, [Some("b"), Some("a")]);
    }
}
