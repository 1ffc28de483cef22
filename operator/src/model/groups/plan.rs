//! Which groups are to exist, and what each is for.

use jiff::Timestamp;

use super::{Group, Role};

/// Groups of a new revision that may stand beside all old ones.
const SURGE: usize = 1;

/// What the spec asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want<'a> {
    /// None while nothing new can be started, as without weights.
    pub revision: Option<&'a str>,
    pub active: usize,
    pub standby: usize,
    pub now: Timestamp,
}

/// A group that is to exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub revision: String,
    pub slot: u32,
    pub role: Role,
    /// Whether the standby Service leads to it: egresses that find nobody who takes traffic call there.
    pub spare: bool,
}

/// Decides. A revision replaces another group by group, each only once its successor is loaded;
/// what takes traffic stays so while it is ready, and a loaded standby takes the place of what is
/// not.
pub fn plan(want: &Want, seen: &[Group]) -> Vec<Place> {
    let total = want.active + want.standby;
    let is_current = |group: &&Group| want.revision.is_none_or(|known| known == group.revision);
    let mut current: Vec<&Group> = seen.iter().filter(is_current).collect();
    let mut old: Vec<&Group> = seen.iter().filter(|group| !is_current(group)).collect();
    current.sort_by_key(|group| preference(group));
    old.sort_by_key(|group| preference(group));

    let loaded = current.iter().filter(|group| group.is_ready()).count();
    old.retain(|group| group.is_ready());
    old.truncate(total.saturating_sub(loaded));
    let room = total.min(total + SURGE - old.len());
    current.truncate(room);

    let contender = |group: &&Group| Contender {
        revision: group.revision.clone(),
        slot: group.slot,
        rank: (
            !group.is_ready(),
            group.role == Role::Standby,
            !is_current(group),
        ),
        known: group.is_known(want.now),
    };
    let mut contenders: Vec<Contender> = current.iter().chain(&old).map(contender).collect();
    if let Some(revision) = want.revision {
        let taken: Vec<u32> = seen.iter().map(|group| group.slot).collect();
        let free = (1..).filter(|slot| !taken.contains(slot));
        contenders.extend(free.take(room - current.len()).map(|slot| Contender {
            revision: revision.to_owned(),
            slot,
            rank: (true, true, false),
            known: false,
        }));
    }
    assign(contenders, want)
}

/// Decides for the revision that the spec makes, `wanted`, when nothing is on trial. What was on trial and is
/// not wanted never took all calls: it replaces nothing. With `leaving`, groups of other revisions run on,
/// out of traffic: nodes that do not know yet still lead to them.
pub fn whole(want: &Want, wanted: &str, leaving: bool, seen: &[Group]) -> Vec<Place> {
    let is_in = |group: &&Group| group.role != Role::Candidate || group.revision == wanted;
    let groups: Vec<Group> = seen.iter().filter(is_in).cloned().collect();
    let mut places = plan(want, &groups);
    if leaving {
        let is_placed = |group: &Group| {
            let at = (group.revision.as_str(), group.slot);
            places
                .iter()
                .any(|place| (place.revision.as_str(), place.slot) == at)
        };
        let others = seen.iter().filter(|group| group.revision != wanted);
        let left: Vec<Place> = others
            .filter(|group| !is_placed(group))
            .map(on_trial)
            .collect();
        places.extend(left);
    }
    places
}

/// Keeps as many groups of a revision as are wanted, and so many of `want`'s beside them, on trial. Those
/// of any other go: nobody needs them.
pub fn beside(want: &Want, stable: &str, candidates: usize, seen: &[Group]) -> Vec<Place> {
    let of_stable = seen.iter().filter(|group| group.revision == stable);
    let of_stable: Vec<Group> = of_stable.cloned().collect();
    let kept = Want {
        // How to run it is known to its objects alone: one group is kept whatever demand is, and others
        // are made after it.
        revision: (!of_stable.is_empty()).then_some(stable),
        active: want.active.max(1),
        ..*want
    };
    let mut places = plan(&kept, &of_stable);
    let Some(revision) = want.revision else {
        // Nothing new can be started: what was started goes on.
        let others = seen.iter().filter(|group| group.role == Role::Candidate);
        let others = others.filter(|group| group.revision != stable);
        places.extend(others.take(candidates).map(on_trial));
        return places;
    };
    let mut current: Vec<&Group> = seen.iter().filter(|g| g.revision == revision).collect();
    current.sort_by_key(|group| preference(group));
    current.truncate(candidates);
    let taken: Vec<u32> = seen.iter().map(|group| group.slot).collect();
    let free = (1..).filter(|slot| !taken.contains(slot));
    let fresh = free.take(candidates - current.len()).map(|slot| Place {
        revision: revision.to_owned(),
        slot,
        role: Role::Candidate,
        spare: false,
    });
    places.extend(current.into_iter().map(on_trial));
    places.extend(fresh);
    places
}

fn on_trial(group: &Group) -> Place {
    Place {
        revision: group.revision.clone(),
        slot: group.slot,
        role: Role::Candidate,
        spare: false,
    }
}

struct Contender {
    revision: String,
    slot: u32,
    /// Not loaded, not in traffic before, of an old revision: the lowest takes traffic first.
    rank: (bool, bool, bool),
    known: bool,
}

fn assign(mut contenders: Vec<Contender>, want: &Want) -> Vec<Place> {
    contenders.sort_by_key(|contender| (contender.rank, contender.slot));
    // Nodes learn of a Service's endpoints one Service at a time, and late: a standby that is promoted
    // stays behind both until another is known, or for a moment neither would lead anywhere.
    let mut waiting = contenders.iter().skip(want.active);
    let none_waits = want.standby > 0 && !waiting.any(|contender| contender.known);
    let places = contenders
        .into_iter()
        .enumerate()
        .map(|(index, contender)| {
            let role = if index < want.active {
                Role::Active
            } else {
                Role::Standby
            };
            Place {
                revision: contender.revision,
                slot: contender.slot,
                role,
                spare: role == Role::Standby || none_waits,
            }
        });
    places.collect()
}

/// Which of several groups stays: the lowest.
fn preference(group: &Group) -> (bool, bool, u32) {
    (!group.is_ready(), group.role == Role::Standby, group.slot)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{super::group, Group, Place, Role, Want, beside, plan, whole};

    fn want(revision: &str, active: usize, standby: usize) -> Want<'_> {
        Want {
            revision: Some(revision),
            active,
            standby,
            now: at(5),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    /// `revision/slot` and a star for those that take traffic.
    fn told(places: &[Place]) -> Vec<String> {
        let mut told: Vec<String> = places
            .iter()
            .map(|place| {
                let star = if place.role == Role::Active { "*" } else { "" };
                format!("{}/{}{star}", place.revision, place.slot)
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn a_fresh_model_gets_its_groups_at_once() {
        assert_eq!(told(&plan(&want("a", 2, 1), &[])), ["a/1*", "a/2*", "a/3"]);
        assert!(plan(&want("a", 0, 0), &[]).is_empty());
    }

    #[test]
    fn a_loaded_standby_takes_the_place_of_a_lost_group() {
        let lost = [
            group("a", 1, Role::Active, false),
            group("a", 2, Role::Standby, true),
        ];
        assert_eq!(told(&plan(&want("a", 1, 1), &lost)), ["a/1", "a/2*"]);
    }

    #[test]
    fn the_standby_service_leads_somewhere_while_no_other_group_waits() {
        let spare = |want: &Want, seen: &[Group]| -> Vec<u32> {
            let places = plan(want, seen).into_iter();
            let mut spare: Vec<u32> = places.filter(|p| p.spare).map(|p| p.slot).collect();
            spare.sort_unstable();
            spare
        };
        let promoted = |standby| {
            [
                group("a", 1, Role::Standby, standby),
                group("a", 2, Role::Active, true),
            ]
        };
        assert_eq!(spare(&want("a", 1, 1), &promoted(false)), [1, 2]);
        assert_eq!(spare(&want("a", 1, 1), &promoted(true)), [1]);
        let at_once = Want {
            now: at(4),
            ..want("a", 1, 1)
        };
        assert_eq!(spare(&at_once, &promoted(true)), [1, 2], "nodes learn late");
        let alone = [group("a", 1, Role::Active, true)];
        assert!(spare(&want("a", 1, 0), &alone).is_empty());
    }

    #[test]
    fn who_takes_traffic_and_is_ready_goes_on() {
        let swapped = [
            group("a", 1, Role::Standby, true),
            group("a", 2, Role::Active, true),
        ];
        assert_eq!(told(&plan(&want("a", 1, 1), &swapped)), ["a/1", "a/2*"]);
    }

    #[test]
    fn nothing_moves_while_nobody_is_loaded() {
        let starting = [
            group("a", 1, Role::Active, false),
            group("a", 2, Role::Standby, false),
        ];
        assert_eq!(told(&plan(&want("a", 1, 1), &starting)), ["a/1*", "a/2"]);
    }

    #[test]
    fn a_new_revision_stands_beside_the_old_until_it_is_loaded() {
        let old = [
            group("a", 1, Role::Active, true),
            group("a", 2, Role::Active, true),
        ];
        assert_eq!(told(&plan(&want("b", 2, 0), &old)), ["a/1*", "a/2*", "b/3"]);
        let half = [
            group("a", 1, Role::Active, true),
            group("a", 2, Role::Active, true),
            group("b", 3, Role::Standby, true),
        ];
        assert_eq!(
            told(&plan(&want("b", 2, 0), &half)),
            ["a/1*", "b/3*", "b/4"],
            "one old group made room"
        );
        let last = [
            group("a", 1, Role::Active, true),
            group("b", 3, Role::Active, true),
            group("b", 4, Role::Standby, true),
        ];
        assert_eq!(told(&plan(&want("b", 2, 0), &last)), ["b/3*", "b/4*"]);
    }

    #[test]
    fn old_groups_that_do_not_answer_make_room_at_once() {
        let broken = [group("a", 1, Role::Active, false)];
        assert_eq!(told(&plan(&want("b", 1, 0), &broken)), ["b/2*"]);
    }

    #[test]
    fn a_revert_returns_to_the_groups_that_still_stand() {
        let midway = [
            group("a", 1, Role::Active, true),
            group("b", 2, Role::Standby, false),
        ];
        assert_eq!(told(&plan(&want("a", 1, 0), &midway)), ["a/1*"]);
    }

    #[test]
    fn without_weights_what_stands_goes_on() {
        let standing = [
            group("a", 1, Role::Active, true),
            group("a", 2, Role::Standby, true),
        ];
        let none = Want {
            revision: None,
            active: 1,
            standby: 1,
            now: at(5),
        };
        assert_eq!(told(&plan(&none, &standing)), ["a/1*", "a/2"]);
        assert!(plan(&none, &[]).is_empty());
    }

    /// `revision/slot` and a letter for the role.
    fn roles(places: &[Place]) -> Vec<String> {
        let letter = |role| match role {
            Role::Active => '*',
            Role::Standby => '-',
            Role::Candidate => '?',
        };
        let mut told: Vec<String> = places
            .iter()
            .map(|place| format!("{}/{}{}", place.revision, place.slot, letter(place.role)))
            .collect();
        told.sort();
        told
    }

    #[test]
    fn a_revision_on_trial_stands_beside_the_stable_one_which_stays_as_it_is() {
        let stable = [
            group("a", 1, Role::Active, true),
            group("a", 2, Role::Standby, true),
        ];
        let trial =
            |candidates, seen: &[Group]| roles(&beside(&want("b", 1, 1), "a", candidates, seen));
        assert_eq!(trial(1, &stable), ["a/1*", "a/2-", "b/3?"]);
        assert_eq!(trial(0, &stable), ["a/1*", "a/2-"]);
        let [one, two] = stable;
        let running = [
            one,
            two,
            group("b", 3, Role::Candidate, true),
            group("c", 4, Role::Candidate, true),
        ];
        assert_eq!(trial(2, &running), ["a/1*", "a/2-", "b/3?", "b/5?"]);
        let lost = [group("a", 1, Role::Active, false)];
        assert_eq!(
            trial(1, &lost),
            ["a/1*", "a/2-", "b/2?"],
            "as many as are wanted"
        );
        assert_eq!(trial(1, &[]), ["b/1?"], "nothing tells how to run it");
        let asleep = beside(&want("b", 0, 0), "a", 1, &lost);
        assert_eq!(roles(&asleep), ["a/1*", "b/2?"], "one is kept to return to");
    }

    #[test]
    fn a_revision_that_earned_its_traffic_takes_the_place_of_the_old_one_at_once() {
        let earned = [
            group("a", 1, Role::Active, true),
            group("a", 2, Role::Standby, true),
            group("b", 3, Role::Candidate, true),
        ];
        assert_eq!(
            roles(&whole(&want("b", 1, 1), "b", false, &earned)),
            ["a/1-", "b/3*", "b/4-"]
        );
    }

    #[test]
    fn what_gave_way_runs_on_out_of_traffic_until_nodes_know() {
        let earned = [
            group("a", 1, Role::Active, true),
            group("b", 2, Role::Candidate, true),
        ];
        let places = |leaving| roles(&whole(&want("b", 1, 0), "b", leaving, &earned));
        assert_eq!(places(true), ["a/1?", "b/2*"]);
        assert_eq!(places(false), ["b/2*"]);
        let reverted = whole(&want("a", 1, 0), "a", false, &earned);
        assert_eq!(roles(&reverted), ["a/1*"], "it never took all calls");
    }

    #[test]
    fn fewer_replicas_keep_those_that_answer() {
        let three = [
            group("a", 1, Role::Active, false),
            group("a", 2, Role::Active, true),
            group("a", 3, Role::Standby, true),
        ];
        assert_eq!(told(&plan(&want("a", 1, 0), &three)), ["a/2*"]);
    }

    /// However a plan and the world interleave, it comes to rest at the spec, and never below the
    /// groups that answered, up to those that are wanted.
    #[test]
    fn every_rollout_ends_at_the_spec_and_never_falls_short_on_its_way() {
        for total in 1..5_usize {
            for standby in 0..total {
                let active = total - standby;
                let mut world: Vec<Group> = (1..=total)
                    .map(|slot| {
                        let role = if slot <= active {
                            Role::Active
                        } else {
                            Role::Standby
                        };
                        group("a", u32::try_from(slot).unwrap_or(0), role, true)
                    })
                    .collect();
                for _ in 0..20 {
                    let places = plan(&want("b", active, standby), &world);
                    let loaded = |place: &Place| {
                        world.iter().any(|g| {
                            (&g.revision, g.slot) == (&place.revision, place.slot) && g.is_ready()
                        })
                    };
                    let serving = places
                        .iter()
                        .filter(|place| place.role == Role::Active && loaded(place))
                        .count();
                    assert_eq!(serving, active, "{places:?}");
                    world = places
                        .iter()
                        .map(|place| group(&place.revision, place.slot, place.role, true))
                        .collect();
                }
                assert_eq!(world.len(), total);
                assert!(world.iter().all(|group| group.revision == "b"));
            }
        }
    }
}
