//! A thousand seeded trials of egress and ingress: callers that go away, ask for several answers or have little
//! money, before models that fail in every way. Whatever happens: an answer is whole or says in its caller's dialect
//! that it is not, no text comes twice or to another nor past a policy, every request is counted once and paid to the token
//! where its model said what it came to, no budget is overshot, and no call is left behind at a model.
//!
//! `AIOS_TRIAL=17` plays one alone.

use std::collections::BTreeMap;

use aios_proto::control::{ItemKind, Snapshot};
use aios_simulator::trial::{
    Attempt, Gateway, Heard, MODELS, Model, Patience, Script, charged, deployment, judge, misspent,
    model_name, pipeline, play, policy, tenant,
};
use futures::{StreamExt, stream};

use crate::{
    fake::until,
    world::{World, ingress, item},
};
use aios_inference_sidecar::money::Lessor;

const TRIALS: u64 = 1000;
const AT_ONCE: usize = 48;

/// An egress, half of whose models have an ingress, and the servers of those models.
struct Stage {
    world: World,
    servers: Vec<Model>,
}

/// What one trial came to.
struct Played<'a> {
    script: &'a Script,
    heard: Heard,
}

impl Stage {
    async fn start(scripts: &[Script]) -> Self {
        let mut servers = Vec::new();
        let mut items = Vec::new();
        for number in 0..MODELS {
            let server = Model::start(number).await.unwrap();
            for patience in [Patience::Short, Patience::Long] {
                for hops in [1, 2] {
                    let upstream = format!("http://{}", server.address);
                    let which = (number, patience, hops);
                    let mut body = deployment(which, &upstream, &upstream);
                    if hops == 2 {
                        let endpoint = ingress(&body).await;
                        body = deployment(which, &endpoint, &upstream);
                    }
                    let name = model_name(number, patience, hops);
                    items.push(item(ItemKind::Model, &name, &body));
                }
            }
            servers.push(server);
        }
        let policy = item(ItemKind::Policy, "house", &policy());
        items.extend(scripts.iter().map(|script| {
            let hops = 1 + usize::from(script.seed % 2 == 1);
            let body = pipeline(script, hops, &policy.digest);
            item(ItemKind::Pipeline, &tenant(script), &body)
        }));
        items.push(policy);
        let world = World::leased(Lessor::own()).await;
        let acks = world.live.apply(&Snapshot { sequence: 1, items });
        assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
        Self { world, servers }
    }

    async fn play<'a>(&self, script: &'a Script) -> Played<'a> {
        let address = self.world.base.strip_prefix("http://").unwrap();
        let gateway = Gateway {
            address: address.parse().unwrap(),
            prefix: "",
            model: "auto".to_owned(),
            headers: vec![("aios-pipeline".to_owned(), tenant(script))],
        };
        let heard = play(script, &gateway).await;
        let heard = heard.unwrap_or_else(|error| panic!("{script:?}: {error}"));
        Played { script, heard }
    }

    async fn play_all<'a>(&self, scripts: impl Iterator<Item = &'a Script>) -> Vec<Played<'a>> {
        let playing = stream::iter(scripts).map(|script| self.play(script));
        let played = playing.buffer_unordered(AT_ONCE).collect().await;
        until("the end of every call", || {
            self.servers.iter().all(|server| server.under_way() == 0)
        })
        .await;
        played
    }

    /// Requests that reached models, by trial.
    fn attempts(&self) -> BTreeMap<u64, Vec<Attempt>> {
        let mut by_trial = BTreeMap::<_, Vec<_>>::new();
        for attempt in self.servers.iter().flat_map(Model::attempts) {
            by_trial.entry(attempt.seed).or_default().push(attempt);
        }
        by_trial
    }

    /// Requests that the egress recorded.
    fn recorded(&self) -> u64 {
        let metrics = self.world.metrics();
        let counts = metrics
            .lines()
            .filter(|line| line.starts_with("gen_ai_client_operation_duration_seconds_count"));
        counts
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

impl Played<'_> {
    /// Requests that the egress says it sent; none where the caller went away.
    fn attempts(&self) -> Option<u64> {
        match &self.heard {
            Heard::Answer(answer) => Some(answer.header("aios-attempts").parse().unwrap_or(0)),
            Heard::Left => None,
        }
    }

    fn offence(&self) -> Option<String> {
        let Heard::Answer(answer) = &self.heard else {
            return None;
        };
        match judge(self.script, answer) {
            Ok(got) if got.is_whole || !self.script.is_harmless() => None,
            Ok(_) => Some(format!("nothing was wrong, and it failed: {answer:?}")),
            Err(offence) => Some(format!("{offence:?}")),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_a_call_its_answer_is_clean_and_its_money_counted() {
    let alone = std::env::var("AIOS_TRIAL").ok();
    let seeds = match &alone {
        Some(seed) => {
            let seed = seed.parse().unwrap();
            seed..=seed
        }
        None => 0..=TRIALS - 1,
    };
    let scripts: Vec<_> = seeds.map(Script::of).collect();
    let stage = Stage::start(&scripts).await;
    let (staying, leaving): (Vec<_>, Vec<_>) =
        scripts.iter().partition(|script| script.leaves.is_none());

    let mut played = stage.play_all(staying.into_iter()).await;
    let sent: u64 = played.iter().filter_map(Played::attempts).sum();
    let mut wrong = Vec::new();
    if stage.recorded() != sent {
        wrong.push(format!(
            "{sent} requests, and {} were recorded",
            stage.recorded()
        ));
    }
    played.extend(stage.play_all(leaving.into_iter()).await);

    let (spent, attempts) = (charged(&stage.world.metrics()), stage.attempts());
    for trial in &played {
        let script = trial.script;
        let came = attempts.get(&script.seed).map_or(&[][..], Vec::as_slice);
        let charged = spent.get(&tenant(script)).copied().unwrap_or_default();
        let misspent = misspent(script, came, charged);
        let wrongs = [trial.offence(), misspent.map(|wrong| format!("{wrong:?}"))];
        let told = wrongs.into_iter().flatten();
        wrong.extend(told.map(|what| {
            format!(
                "AIOS_TRIAL={}: {what}\n  {script:?}\n  {came:?}",
                script.seed
            )
        }));
        if alone.is_some() {
            println!(
                "{script:#?}\n{came:#?}\ncharged {charged:?}\n{:#?}",
                trial.heard
            );
        }
    }
    assert!(stage.servers.iter().all(|server| server.strays() == 0));
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        played.len(),
        wrong.join("\n")
    );
}
