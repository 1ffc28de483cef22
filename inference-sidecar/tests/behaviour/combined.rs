//! Features that meet in one call: each holds as it does alone.

use aios_inference_sidecar::money::Lessor;
use aios_proto::control::{ItemKind, Snapshot};
use serde_json::json;

use crate::{
    fake::{Answer, Fake, completion, stream, until},
    hedged::{ENOUGH, hedged, hedges},
    world::{World, chat, header, item, model, pipeline, with},
};

/// A pipeline that keeps all answers, and judges them by a rule with this action.
async fn keeping_and_judging(fake: &Fake, action: &str) -> World {
    let rule = json!({"name": "no-rival", "terms": {"list": ["Acme"]}, "action": action,
        "calls": ["Answer"]});
    let policy = json!({"name": "house", "scope": "Namespace", "rules": [rule], "review": {}});
    let policy = item(ItemKind::Policy, "house", &policy);
    let pin = json!({"scope": "Namespace", "name": "house", "digest": policy.digest});
    let mut pipeline = pipeline(json!([{"model": "m"}]));
    pipeline["policies"] = json!([pin]);
    pipeline["models"]["draft"]["cache"] = json!({"ttl": "1h", "calls": "All"});
    let items = vec![
        policy,
        item(ItemKind::Pipeline, "p", &pipeline),
        item(ItemKind::Model, "m", &model("m", &fake.address)),
    ];
    let world = World::unconfigured().await;
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    world
}

fn judged(world: &World, answers: u32) -> bool {
    let ends = format!(" {answers}");
    world.metric(&["aios_sidecar_policy_texts_total", "side=\"answer\"", &ends])
}

#[tokio::test]
async fn a_kept_answer_is_judged_for_each_call_that_is_given_it() {
    let fake = Fake::start(vec![completion("Bank at Acme.", Some((1, 4)))]).await;
    let world = keeping_and_judging(&fake, "Redact").await;
    for (asked, result) in (1..).zip(["miss", "hit", "hit"]) {
        let response = world.call(&chat(json!({}))).send().await.unwrap();
        assert_eq!(header(&response, "aios-cache"), result);
        assert!(header(&response, "aios-policy-verdict").contains("no-rival"));
        let text = response.text().await.unwrap();
        assert!(text.contains("Bank at") && !text.contains("Acme"), "{text}");
        assert!(judged(&world, asked), "{}", world.metrics());
    }
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn what_a_rule_blocks_is_refused_to_each_caller_wherever_it_comes_from() {
    for (streams, answer) in [
        (false, completion("Bank at Acme.", Some((1, 4)))),
        (true, stream(&["Bank ", "at ", "Acme", "."])),
    ] {
        let fake = Fake::start(vec![answer]).await;
        let world = keeping_and_judging(&fake, "Block").await;
        for asked in 1..=3 {
            let call = world.call(&chat(json!({"stream": streams}))).send();
            let text = call.await.unwrap().text().await.unwrap();
            assert!(
                text.contains("answer_blocked") && !text.contains("Acme"),
                "{text}"
            );
            assert!(judged(&world, asked), "{}", world.metrics());
        }
    }
}

/// A model whose late calls are sent twice and that answers at a price of 4,000 millionths, of 64,000 that are
/// put aside; and a budget of its pipeline.
async fn hedged_and_paid(millionths: u64, then: Vec<Answer>) -> (Fake, World) {
    let usual = completion("Hello.", Some((10, 4)));
    let mut script = vec![usual; ENOUGH];
    script.extend(then);
    let fake = Fake::start(script).await;
    let pricing = json!({"inputPerMillion": "0", "outputPerMillion": "1000", "currency": "EUR"});
    let model = with(hedged(&fake), "pricing", pricing);
    let mut pipeline = pipeline(json!([{"model": "m"}]));
    let amount = format!("0.{millionths:06}");
    pipeline["budget"] = json!({"amount": amount, "currency": "EUR", "period": "Month"});
    let items = vec![
        item(ItemKind::Pipeline, "p", &pipeline),
        item(ItemKind::Model, "m", &model),
    ];
    let world = World::leased(Lessor::own()).await;
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    for _ in 0..ENOUGH {
        let usual = world.call(&chat(json!({}))).send().await.unwrap();
        assert_eq!(usual.status(), 200);
    }
    (fake, world)
}

const SPENT: &str = "aios_sidecar_budget_spent_total";
/// What the usual calls come to.
const USUAL: u64 = 4_000 * ENOUGH as u64;
const ASIDE: u64 = 64_000;

fn spent(world: &World, basis: &str) -> u64 {
    let metrics = world.metrics();
    let of = |line: &&str| line.starts_with(SPENT) && line.contains(basis);
    let line = metrics.lines().find(of);
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn the_slower_of_two_requests_is_paid_for_with_all_that_it_may_have_cost() {
    let answers = vec![Answer::Hang, completion("Hello.", Some((10, 4)))];
    let (fake, world) = hedged_and_paid(USUAL + 2 * ASIDE, answers).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-attempts"), "2");
    until("cancellation", || fake.cancelled() == 1).await;
    until("the charge", || spent(&world, "estimated") == ASIDE).await;
    assert_eq!(spent(&world, "exact"), USUAL + 4_000);
}

#[tokio::test]
async fn a_call_that_the_budget_has_no_second_room_for_is_sent_once() {
    let (fake, world) = hedged_and_paid(USUAL + 2 * ASIDE - 1, vec![Answer::Hang]).await;
    let waits = tokio::spawn(world.call(&chat(json!({}))).send());
    let refused = ["aios_sidecar_budget_refused_total", "exhausted", " 1"];
    until("the second's refusal", || world.metric(&refused)).await;
    assert_eq!(fake.calls(), ENOUGH + 1);
    assert!(!waits.is_finished());
    waits.abort();
    until("the charge", || spent(&world, "estimated") == ASIDE).await;
    assert_eq!(spent(&world, "exact"), USUAL);
    assert!(!hedges(&world, "won"));
}
