//! The committed manifests catch every planted mistake by its rule, with what must follow, and stop no
//! clean mail whose slots hold the wording that needs no model.
#![allow(clippy::unwrap_used)]

mod common;

use aios_campaign::{Campaign, Customer, Expect, Plant, SEED, generate};
use aios_policy::{Verdict, VerdictAction};
use common::{Setting, objects};
use rstest::rstest;

fn customer<'a>(campaign: &'a Campaign, id: &str) -> &'a Customer {
    campaign.customers.iter().find(|c| c.id == id).unwrap()
}

fn plant<'a>(campaign: &'a Campaign, customer: &Customer) -> Option<&'a Plant> {
    campaign
        .plants
        .iter()
        .find(|plant| plant.customer_id == customer.id)
}

fn rules(verdict: &Verdict) -> Vec<&str> {
    verdict.findings.iter().map(|f| f.rule.as_str()).collect()
}

#[test]
fn every_planted_mistake_is_caught_by_its_rule() {
    let (setting, campaign) = (Setting::committed(), generate(SEED));
    for plant in &campaign.plants {
        let customer = customer(&campaign, &plant.customer_id);
        assert!(setting.accepts(customer), "{}", plant.what);
        let written = plant.answer.map(|a| (a.slot, a.answer));
        let verdict = setting.verdict(customer, written);
        assert!(
            rules(&verdict).contains(&plant.rule),
            "{}: {:?}",
            plant.what,
            rules(&verdict)
        );
        assert_eq!(verdict.errors, [], "{}", plant.what);
        let action = match plant.expect {
            Expect::Refused => VerdictAction::Block,
            Expect::Review => VerdictAction::Review,
            Expect::Revised => VerdictAction::Revise,
        };
        assert_eq!(verdict.action, action, "{}", plant.what);
        // A person must see the planted words, not a second try.
        let again = plant.expect == Expect::Revised;
        assert_eq!(verdict.wants_revision(), again, "{}", plant.what);
    }
}

#[test]
fn no_clean_mail_is_stopped_and_no_unwanted_one_passes() {
    let (setting, campaign) = (Setting::committed(), generate(SEED));
    let unplanted = |c: &&Customer| plant(&campaign, c).is_none();
    for customer in campaign.customers.iter().filter(unplanted) {
        assert_eq!(
            setting.accepts(customer),
            customer.is_valid(),
            "{}",
            customer.id
        );
        if !customer.is_valid() {
            continue;
        }
        let verdict = setting.verdict(customer, None);
        assert_eq!(verdict.errors, [], "{}", customer.id);
        let expected: &[&str] = match () {
            () if !customer.marketing_consent => &["marketing-consent"],
            () if customer.suppressed => &["suppression-list"],
            () if customer.is_delicate() => &["delicate"],
            () => &[],
        };
        assert_eq!(rules(&verdict), expected, "{}", customer.id);
    }
}

#[rstest]
#[case(
    "opening",
    "Here is a revised version: We invite you to join.",
    "no-asides"
)]
#[case(
    "opening",
    "We greet you, [Your Name], and ask you to join us.",
    "no-asides"
)]
#[case(
    "benefit",
    "Our team is at https://save.example for you today.",
    "no-asides"
)]
#[case("benefit", "Our team trained SmolLM for Hugging Face.", "no-asides")]
#[case("benefit", "Our team awaits you next Sunday.", "no-asides")]
#[case(
    "opening",
    "Save 500 euros with us in our webinar.",
    "no-invented-numbers"
)]
#[case("opening", "Blessed!", "short")]
#[case("opening", "Erebus asks you to come to our webinar.", "on-topic")]
#[case(
    "opening",
    "We would be delighted to welcome you to our webinar where",
    "on-topic"
)]
#[case("benefit", "My team will show you simple steps.", "whole-sentences")]
#[case(
    "benefit",
    "Our team will show you simple steps, so that you",
    "whole-sentences"
)]
fn what_a_small_model_gets_wrong_is_sent_back(
    #[case] slot: &str,
    #[case] words: &str,
    #[case] rule: &str,
) {
    let (setting, campaign) = (Setting::committed(), generate(SEED));
    let plain = campaign.customers.iter().find(|c| c.is_plain()).unwrap();
    let verdict = setting.verdict(plain, Some((slot, words)));
    assert_eq!(verdict.action, VerdictAction::Revise);
    assert!(rules(&verdict).contains(&rule), "{:?}", rules(&verdict));
}

#[rstest]
#[case(
    "opening",
    "We'd be delighted to welcome you to our online webinar about saving for retirement!"
)]
#[case(
    "opening",
    "Welcome to our online webinar, where you can find expert insights and strategies."
)]
#[case(
    "benefit",
    "We would be delighted to show you simple steps and answer your questions."
)]
fn good_sentences_of_a_small_model_pass(#[case] slot: &str, #[case] words: &str) {
    let (setting, campaign) = (Setting::committed(), generate(SEED));
    for customer in campaign.customers.iter().filter(|c| c.is_plain()) {
        if plant(&campaign, customer).is_none() {
            let verdict = setting.verdict(customer, Some((slot, words)));
            assert!(verdict.passes(), "{}: {:?}", customer.id, rules(&verdict));
        }
    }
}

#[test]
fn only_scripted_prompts_carry_the_marker_of_their_script() {
    let (setting, campaign) = (Setting::committed(), generate(SEED));
    for customer in campaign.customers.iter().filter(|c| c.is_plain()) {
        for slot in ["opening", "benefit"] {
            let prompt = setting.prompt(customer, slot);
            let answer = campaign.script.iter().find_map(|rule| {
                let contains = rule.contains.as_ref()?;
                prompt.contains(contains).then_some(rule.answer.as_str())
            });
            let scripted = plant(&campaign, customer).and_then(|plant| plant.answer);
            match scripted.filter(|planted| planted.slot == slot) {
                Some(planted) => assert_eq!(answer, Some(planted.answer)),
                None => assert_eq!(answer.is_some(), scripted.is_some(), "{prompt}"),
            }
        }
    }
}

#[test]
fn what_the_pipeline_leans_on_is_in_the_infrastructure() {
    let objects = objects("infrastructure.yaml");
    let has = |kind: &str, name: &str| {
        objects
            .iter()
            .any(|o| o["kind"] == kind && o["metadata"]["name"] == name)
    };
    for name in ["weights", "model-simulator", "webhook-receiver"] {
        assert!(has("Deployment", name) && has("Service", name), "{name}");
    }
    assert!(has("Secret", "webhook-signing") && has("ConfigMap", "simulator-script"));
}
