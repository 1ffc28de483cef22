//! Each bad manifest gets one line that names file, object, field and remedy.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

use kubectl_aios::validate::{Options, Report, Source, validate};

const MODEL: &str = "\
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: small}
spec:
  hosted: {provider: OpenAICompatible, model: m, baseURL: 'http://m:8080/v1'}
";

const POLICY: &str = "\
apiVersion: aios.dev/v1alpha1
kind: PolicySet
metadata: {name: bank}
spec:
  rules:
    - name: no-competitors
      action: Review
      terms: {list: [Acme]}
";

const PIPELINE: &str = "\
apiVersion: aios.dev/v1alpha1
kind: WritingPipeline
metadata: {name: savings}
spec:
  content:
    kind: Email
    skeletons:
      - language: en
        parts:
          - {name: subject, template: {inline: 'An invitation'}}
          - {name: text, template: {configMapKeyRef: {name: texts, key: en}}}
        slots:
          - {name: opening, prompt: 'Welcome {{ customer.name }}', safe: 'Welcome.'}
  context:
    - {name: customer, upload: {pointer: customerId, key: id}}
  models: {draft: {routes: [{model: small}]}}
  policyRefs: [{name: bank}]
  publish:
    - name: hook
      webhook:
        url: https://hooks.example/v1
        signingSecret: {secretKeyRef: {name: hook, key: secret}}
";

const TEXTS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data: {en: 'Dear {{ customer.name }}, {{ slots.opening }}'}
";

const RUN: &str = "\
apiVersion: aios.dev/v1alpha1
kind: WritingRun
metadata: {name: monday}
spec:
  pipelineRef: {name: savings}
  input: {upload: {context: customer}}
";

fn all() -> [&'static str; 5] {
    [MODEL, POLICY, PIPELINE, TEXTS, RUN]
}

fn check(text: &str, partial: bool) -> Report {
    let source = Source {
        name: "f.yaml".into(),
        text: text.into(),
    };
    validate(
        &[source],
        &Options {
            partial,
            ..Options::default()
        },
    )
}

/// The good manifests with one change.
fn changed(from: &str, to: &str) -> String {
    let good = all().join("---\n");
    assert!(good.contains(from), "{from}");
    good.replacen(from, to, 1)
}

#[test]
fn good_manifests_pass_and_name_their_secrets() {
    let report = check(&all().join("---\n"), false);
    assert_eq!(report.findings, []);
    assert_eq!((report.checked, report.others), (4, 1));
    assert!(report.secrets["hook"].contains("secret"));
}

#[test]
fn every_mistake_is_named_with_field_and_remedy() {
    // What to replace, by what, the beginning of the line, and words of the remedy.
    let cases = [
        (
            "policyRefs: [{name: bank}]",
            "policyrefs: [{name: bank}]",
            "f.yaml: WritingPipeline/savings: spec.policyrefs: is unknown",
            "did you mean `policyRefs`?",
        ),
        (
            "{list: [Acme]}",
            "{list: [Acme], fuzzy: true}",
            "f.yaml: PolicySet/bank: spec.rules[0].terms.fuzzy: is unknown",
            "leave it out; here are endings, list, listRef, match",
        ),
        (
            "      action: Review\n",
            "",
            "f.yaml: PolicySet/bank: spec.rules[0].action: is missing",
            "What follows when the check fails",
        ),
        (
            "action: Review",
            "action: Refuse",
            "f.yaml: PolicySet/bank: spec.rules[0].action: \"Refuse\" is not one of its values",
            "use one of Warn",
        ),
        (
            "{list: [Acme]}",
            "{list: Acme}",
            "f.yaml: PolicySet/bank: spec.rules[0].terms.list: \"Acme\" is not",
            "write a value of type array",
        ),
        (
            "name: no-competitors",
            "name: No Competitors",
            "f.yaml: PolicySet/bank: spec.rules[0].name: \"No Competitors\" does not have the form",
            "Name of the rule",
        ),
        (
            "terms: {list: [Acme]}",
            "terms: {list: [Acme]}\n      pattern: {regex: a}",
            "f.yaml: PolicySet/bank: spec.rules[0]: does not obey its rule",
            "exactly one check",
        ),
        (
            "terms: {list: [Acme]}",
            "pattern: {regex: '(a'}",
            "f.yaml: PolicySet/bank: spec.rules[0].pattern.regex",
            "",
        ),
        (
            "terms: {list: [Acme]}",
            "cel: 'vars.a =='",
            "f.yaml: PolicySet/bank: spec.rules[0].cel",
            "",
        ),
        (
            "hosted: {provider: OpenAICompatible, model: m, baseURL: 'http://m:8080/v1'}",
            "replicas: 1",
            "f.yaml: ModelDeployment/small: spec: does not obey its rule",
            "exactly one of hosted",
        ),
        (
            ", baseURL: 'http://m:8080/v1'",
            "",
            "f.yaml: ModelDeployment/small: spec.hosted: does not obey its rule",
            "baseURL is required",
        ),
        (
            "baseURL: 'http://m:8080/v1'}",
            "baseURL: 'http://m:8080/v1'}\n  limits: {maxInFlight: 0}",
            "f.yaml: ModelDeployment/small: spec.limits.maxInFlight: 0 is less than the minimum",
            "Calls under way",
        ),
        (
            "baseURL: 'http://m:8080/v1'}",
            "baseURL: 'http://m:8080/v1'}\n  resilience: {timeout: 1 hour}",
            "f.yaml: ModelDeployment/small: spec.resilience.timeout: \"1 hour\" does not have the form",
            "",
        ),
        (
            "metadata: {name: monday}",
            "metadata: {name: Monday_1}",
            "f.yaml: WritingRun/Monday_1: metadata.name: `Monday_1` cannot name",
            "start with a letter",
        ),
        (
            "{inline: 'An invitation'}",
            "{}",
            "f.yaml: WritingPipeline/savings: spec.content.skeletons[0].parts[0].template: does not obey",
            "exactly one of inline and configMapKeyRef",
        ),
        (
            "An invitation",
            "An {{ invitation",
            "f.yaml: WritingPipeline/savings: spec.content.skeletons[0].parts[0].template.inline (line 1",
            "",
        ),
        (
            "name: texts, key: en",
            "name: text, key: en",
            "f.yaml: WritingPipeline/savings: spec.content.skeletons[0].parts[1].template.configMapKeyRef.name: ConfigMap `text`",
            "create it, or correct the name",
        ),
        (
            "routes: [{model: small}]",
            "routes: [{model: smal}]",
            "f.yaml: WritingPipeline/savings: spec.models.draft.routes[0].model: ModelDeployment `smal` is not in these files",
            "pass --partial",
        ),
        (
            "policyRefs: [{name: bank}]",
            "policyRefs: [{name: banks}]",
            "f.yaml: WritingPipeline/savings: spec.policyRefs[0].name: PolicySet `banks`",
            "correct the name",
        ),
        (
            "policyRefs: [{name: bank}]",
            "policyRefs: [{name: bank}]\n  triggers: [{name: daily, cron: {schedule: 0 25 * * *, run: {input: {upload: {context: customer}}}}}]",
            "f.yaml: WritingPipeline/savings: spec.triggers[0].cron.schedule (line 1, column 3): `0 25 * * *` is no cron",
            "write minute, hour",
        ),
        (
            "policyRefs: [{name: bank}]",
            "policyRefs: [{name: bank}]\n  triggers: [{name: daily, cron: {schedule: 0 9 * * *, startingDeadline: 30s, run: {input: {upload: {context: customer}}}}}]",
            "f.yaml: WritingPipeline/savings: spec.triggers[0].cron.startingDeadline: 30s is not from 1m to 24h",
            "name a span",
        ),
        (
            "pipelineRef: {name: savings}",
            "pipelineRef: {name: saving}",
            "f.yaml: WritingRun/monday: spec.pipelineRef.name: WritingPipeline `saving` is not in these files",
            "--partial",
        ),
        (
            "input: {upload: {context: customer}}",
            "input: {upload: {context: client}}",
            "f.yaml: WritingRun/monday: spec.input.upload.context: the pipeline has no context `client`",
            "customer",
        ),
        (
            "input: {upload: {context: customer}}",
            "input: {}",
            "f.yaml: WritingRun/monday: spec.input: does not obey its rule",
            "exactly one of pointers and upload",
        ),
        (
            "kind: WritingRun",
            "kind: WritingJob",
            "f.yaml: document[4].kind: `WritingJob` is none of aios.dev",
            "use one of ModelDeployment",
        ),
        (
            "aios.dev/v1alpha1\nkind: WritingRun",
            "aios.dev/v1\nkind: WritingRun",
            "f.yaml: document[4].apiVersion: `v1` is not served",
            "write aios.dev/v1alpha1",
        ),
        (
            "aios.dev/v1alpha1\nkind: WritingRun",
            "batch/v1\nkind: WritingRun",
            "f.yaml: document[4].apiVersion: `batch` has no kind WritingRun",
            "write aios.dev/v1alpha1",
        ),
        (
            "metadata: {name: monday}",
            "metadata: {}",
            "f.yaml: document[4].metadata.name: is missing",
            "give the object a name",
        ),
        (
            "metadata: {name: monday}\nspec:",
            "metadata: {name: monday}\nspecs: {}\nspec:",
            "f.yaml: WritingRun/monday: specs: is no field of any kind",
            "leave it out",
        ),
        (
            "spec:\n  rules:",
            "spec:\n  rules: [}\n  rules:",
            "f.yaml: document: ",
            "correct the YAML",
        ),
    ];
    for (from, to, begins, remedy) in cases {
        let lines: Vec<_> = check(&changed(from, to), false)
            .findings
            .iter()
            .map(ToString::to_string)
            .collect();
        let line = lines.iter().find(|line| line.starts_with(begins));
        let line = line.unwrap_or_else(|| panic!("{to}\nexpected {begins}\nfound {lines:#?}"));
        let (_, said) = line.rsplit_once(" (").unwrap();
        assert!(line.ends_with(')') && said.len() > 3, "no remedy: {line}");
        assert!(line.contains(remedy), "{line}\nlacks {remedy}");
        assert_eq!(lines.len(), 1, "{to}: one mistake, one line: {lines:#?}");
    }
}

#[test]
fn engines_are_held_to_the_rules_of_their_kind() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let weights = format!("model: {{uri: 'pvc://models/llama', digest: '{digest}'}}");
    let custom = "engine: {name: Custom, image: server, custom: {port: 8000, model: m}}";
    let found = |own: &[&str]| -> Vec<String> {
        let own = own.join("\n    ");
        let head = "apiVersion: aios.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: own}";
        let report = check(&format!("{head}\nspec:\n  selfHosted:\n    {own}"), false);
        report.findings.iter().map(ToString::to_string).collect()
    };
    let kserve = "engine: {name: KServe, image: server, kserve: {model: m}}";
    let bentoml = "engine: {name: BentoML, image: server, bentoml: {model: m, output: text}}";
    let good: [&[&str]; 6] = [
        &[kserve],
        &["engine: {name: KServe, image: server}", &weights],
        &[bentoml],
        &[
            "engine: {name: VLLM}",
            &weights,
            "warm: {standby: 1, mode: Asleep}",
        ],
        &[custom],
        &[
            "engine: {name: Custom, image: server, custom: {port: 8000}}",
            &weights,
        ],
    ];
    for own in good {
        assert_eq!(found(own), [""; 0], "{own:?}");
    }
    let bad: [(&[&str], &str); 12] = [
        (
            &["engine: {name: KServe, image: server}"],
            "set engine.kserve.model",
        ),
        (
            &[
                "engine: {name: BentoML, image: server, kserve: {model: m}}",
                &weights,
            ],
            "kserve is for engine KServe",
        ),
        (
            &["engine: {name: BentoML, bentoml: {model: m}}"],
            "set image, the server of your own",
        ),
        (
            &[bentoml, "quantization: {method: AWQ}"],
            "leave quantization and adapters out",
        ),
        (
            &["engine: {name: LlamaCpp}", &weights, "warm: {mode: Asleep}"],
            "set mode Loaded",
        ),
        (&["engine: {name: VLLM}"], "set model, the weights"),
        (
            &["engine: {name: Custom, image: server}", &weights],
            "as in custom: {port: 8000}",
        ),
        (
            &["engine: {name: VLLM, custom: {port: 8000}}", &weights],
            "no other engine takes it",
        ),
        (
            &["engine: {name: Custom, custom: {port: 8000}}", &weights],
            "set image, the server of your own",
        ),
        (
            &[
                "engine: {name: Custom, image: server, custom: {port: 9090}}",
                &weights,
            ],
            "let the server listen on another",
        ),
        (
            &["engine: {name: Custom, image: server, custom: {port: 8000}}"],
            "set engine.custom.model",
        ),
        (
            &[custom, "quantization: {method: AWQ}"],
            "leave quantization and adapters out",
        ),
    ];
    for (own, remedy) in bad {
        let found = found(own);
        let rule = found
            .iter()
            .find(|line| line.contains("does not obey its rule"));
        assert!(
            rule.is_some_and(|line| line.contains(remedy)),
            "{own:?}: {found:#?}"
        );
    }
}

#[test]
fn what_the_files_lack_may_be_in_the_cluster() {
    let report = check(&[PIPELINE, RUN].join("---\n"), true);
    assert_eq!(report.findings, []);
}

#[test]
fn objects_of_another_namespace_do_not_count() {
    let elsewhere = changed(
        "metadata: {name: small}",
        "metadata: {name: small, namespace: other}",
    );
    let lines: Vec<_> = check(&elsewhere, false)
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].contains("ModelDeployment `small` is not in these files"),
        "{lines:#?}"
    );
}

#[test]
fn an_object_that_stands_twice_is_named() {
    let twice = [MODEL, MODEL].join("---\n");
    let report = check(&twice, false);
    assert_eq!(report.findings.len(), 1);
    assert!(
        report.findings[0]
            .to_string()
            .contains("stands in these files twice")
    );
}

#[test]
fn text_that_is_no_manifest_never_panics() {
    for text in [
        "",
        "---\n---\n",
        "[1, 2]",
        "a",
        "kind: 3\napiVersion: []",
        "{",
        "\u{0}",
        "spec: &a [*a]",
    ] {
        let _ = check(text, false).findings;
    }
}
