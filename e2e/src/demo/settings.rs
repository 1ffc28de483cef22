//! What the person who starts the demo chose.

use anyhow::{Context, Result, bail};

/// Who decides what waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reviewer {
    /// A script, and the summary says so.
    Scripted,
    /// Whoever sits there.
    Me,
}

/// An endpoint that speaks OpenAI's chat completions, for the last step.
#[derive(Clone, PartialEq, Eq)]
pub struct FinalModel {
    pub base_url: String,
    pub api_key: String,
    pub model: String,
}

/// Whom the demo writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    All,
    First(usize),
    /// By their keys.
    These(Vec<String>),
}

pub struct Settings {
    pub chosen: Chosen,
    pub namespace: String,
    /// Go on with what the namespace holds, instead of making it afresh.
    pub keep: bool,
    /// The cluster is up and AIOS is in it: neither is touched.
    pub is_installed: bool,
    pub reviewer: Reviewer,
    pub final_model: Option<FinalModel>,
}

impl Chosen {
    pub fn has(&self, index: usize, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::First(count) => index < *count,
            Self::These(keys) => keys.iter().any(|known| known == key),
        }
    }
}

impl Reviewer {
    /// Of the variable `REVIEW`.
    pub fn parse(choice: Option<&str>) -> Result<Self> {
        match choice {
            None | Some("" | "scripted") => Ok(Self::Scripted),
            Some("me") => Ok(Self::Me),
            Some(other) => bail!("REVIEW={other}: use me or scripted"),
        }
    }
}

impl FinalModel {
    /// None unless an address is given; then key and model are needed too.
    pub fn parse(
        base_url: Option<String>,
        api_key: Option<String>,
        model: Option<String>,
    ) -> Result<Option<Self>> {
        let given = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
        let Some(base_url) = given(base_url) else {
            return Ok(None);
        };
        if !base_url.starts_with("https://") && !base_url.starts_with("http://") {
            bail!("AIOS_FINAL_BASE_URL={base_url}: write a URL, as in https://api.example.com/v1");
        }
        let api_key =
            given(api_key).context("AIOS_FINAL_API_KEY is not set: the endpoint's key")?;
        let model = given(model)
            .context("AIOS_FINAL_MODEL is not set: the model's name as the endpoint knows it")?;
        Ok(Some(Self {
            base_url,
            api_key,
            model,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_reviewer_is_refused_with_the_choices() {
        assert_eq!(Reviewer::parse(None).unwrap(), Reviewer::Scripted);
        assert_eq!(Reviewer::parse(Some("me")).unwrap(), Reviewer::Me);
        assert!(
            Reviewer::parse(Some("you"))
                .unwrap_err()
                .to_string()
                .contains("me or scripted")
        );
    }

    #[test]
    fn a_final_model_is_whole_or_absent() {
        let some = |text: &str| Some(text.to_owned());
        assert!(
            FinalModel::parse(None, some("k"), some("m"))
                .unwrap()
                .is_none()
        );
        assert!(
            FinalModel::parse(some("https://x/v1"), some("k"), some("m"))
                .unwrap()
                .is_some()
        );
        let cases = [
            (
                FinalModel::parse(some("x/v1"), some("k"), some("m")),
                "write a URL",
            ),
            (
                FinalModel::parse(some("https://x"), None, some("m")),
                "AIOS_FINAL_API_KEY",
            ),
            (
                FinalModel::parse(some("https://x"), some("k"), some(" ")),
                "AIOS_FINAL_MODEL",
            ),
        ];
        for (parsed, said) in cases {
            let error = parsed.err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
