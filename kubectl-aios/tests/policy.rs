//! Commands that need no cluster, as processes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::process::Command;

const POLICY: &str = "apiVersion: aios.dev/v1alpha1\nkind: PolicySet\nmetadata: {name: bank}\nspec:\n  \
    rules:\n    - {name: no-competitors, action: Review, terms: {list: [Acme]}}\n";

#[test]
fn a_text_is_judged_by_the_policies_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("policy.yaml"), POLICY).unwrap();
    std::fs::write(path("bad.txt"), "Unlike Acme, we care.").unwrap();
    std::fs::write(path("good.txt"), "We care.").unwrap();
    let judge = |document: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"))
            .args(["policy", "test", "-f"])
            .arg(path("policy.yaml"))
            .arg(path(document))
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (well, said) = judge("bad.txt");
    assert!(!well && said.starts_with("verdict: Review"), "{said}");
    assert!(
        said.contains("bank/no-competitors") && said.contains("[text 7..11]"),
        "{said}"
    );
    assert_eq!(judge("good.txt"), (true, "verdict: Pass\n".to_owned()));
}

#[test]
fn what_rules_do_is_told_in_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let policy = "apiVersion: aios.dev/v1alpha1\nkind: PolicySet\nmetadata: {name: bank}\nspec:\n  \
        rules:\n    - {name: short, action: Block, parts: [text], length: {maxWords: 9}}\n    \
        - {name: notice, action: Revise, when: vars.x, require: {text: Note}}\n";
    std::fs::write(&path, policy).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"))
        .args(["policy", "explain", "-f"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("bank sha256:") && lines[0].ends_with("(length.1 require.2)"));
    let columns = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        columns(lines[2]),
        [
            "short", "length", "Block", "Closed", "text", "-", "Monotone"
        ]
    );
    assert_eq!(
        columns(lines[3]),
        [
            "notice",
            "require",
            "Revise",
            "Closed",
            "all",
            "yes",
            "WholeText"
        ]
    );
}

#[test]
fn a_policys_own_tests_are_run_and_what_differs_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let run = |expected: &str, flags: &[&str]| {
        let policy = format!(
            "apiVersion: aios.dev/v1alpha1\nkind: PolicySet\nmetadata: {{name: bank}}\nspec:\n  \
            rules:\n    - {{name: no-competitors, action: Review, terms: {{list: [Acme]}}}}\n    \
            - {{name: short, action: Revise, length: {{maxWords: 2}}}}\n  \
            tests:\n    - {{name: acme, text: Unlike Acme, expect: {expected}}}\n"
        );
        std::fs::write(&path, policy).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"))
            .args(["policy", "test", "-f"])
            .arg(&path)
            .args(flags)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), said.concat())
    };
    let (code, said) = run("{action: Review, rules: [no-competitors]}", &[]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "pass bank/acme\n1 of 1 tests pass\n")
    );
    let (code, said) = run("{action: Block, rules: [short]}", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with(
            "FAIL bank/acme\n  - action: Block\n  + action: Review\n  - rule: short\n  \
            + rule: no-competitors\n  verdict: Review\n"
        ),
        "{said}"
    );
    assert!(said.ends_with("\n0 of 1 tests pass\n"), "{said}");
    let (code, said) = run("{action: Block}", &["--json"]);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (
            code,
            &told[0]["tests"][0]["differences"][0]["action"]["found"]
        ),
        (Some(1), &serde_json::json!("Review"))
    );
    let (code, said) = run("{action: Block, rules: [shrt]}", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("spec.tests[0].expect.rules[0]"), "{said}");
}

#[test]
fn rules_that_do_not_go_together_are_explained_with_the_platforms_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let policy = "apiVersion: aios.dev/v1alpha1\nkind: PolicySet\nmetadata: {name: bank}\nspec:\n  \
        rules:\n    - {name: notice, action: Revise, require: {text: Gains are not guaranteed.}}\n---\n\
        apiVersion: aios.dev/v1alpha1\nkind: ClusterPolicySet\nmetadata: {name: platform}\nspec:\n  \
        rules:\n    - {name: no-promises, action: Block, terms: {list: [guaranteed]}}\n";
    std::fs::write(&path, policy).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"))
        .args(["policy", "explain", "-f"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("cluster/platform sha256:"), "{said}");
    assert!(
        lines[0].ends_with(", mandatory: no namespace can weaken it"),
        "{said}"
    );
    assert_eq!(
        lines.last().unwrap(),
        &"conflict: bank/notice demands a wording that cluster/platform/no-promises answers with Block: no text \
          satisfies both"
    );
}

#[test]
fn files_are_validated_as_kubectl_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, POLICY).unwrap();
    let validated = |flag: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"));
        let ended = command.arg("validate").args(flag).arg(&path).output();
        ended.unwrap().status.success()
    };
    assert!(validated(&[]) && validated(&["-f"]) && validated(&["--filename"]));
}
