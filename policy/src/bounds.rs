//! Which models may be told a text, by where they stand.

use aios_crds::data_bounds::{AllowedModels, DataBounds};

/// Of the meaning of bounds; part of [`revisions_within`].
const REVISION: u32 = 1;

/// Where a model is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In this cluster.
    Private,
    /// At a provider, in the region that its deployment names.
    Hosted { region: Option<&'a str> },
}

/// What several policies say of models together: each must admit one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds(Vec<(String, DataBounds)>);

impl Bounds {
    /// Bounds by the name of their policy.
    pub fn new(policies: impl IntoIterator<Item = (String, DataBounds)>) -> Self {
        let policies = policies.into_iter();
        Self(policies.filter(|(_, bounds)| !bounds.is_open()).collect())
    }

    /// Whether a model of this place may be told texts.
    ///
    /// # Errors
    /// Which policy forbids it, and why.
    pub fn admit(&self, place: Place<'_>) -> Result<(), String> {
        let Place::Hosted { region } = place else {
            return Ok(());
        };
        for (policy, bounds) in &self.0 {
            if bounds.models == AllowedModels::PrivateOnly {
                return Err(format!(
                    "policy `{policy}` lets texts go to models of this cluster alone, and a provider serves this one"
                ));
            }
            let regions = &bounds.regions;
            let is_allowed = |region| regions.iter().any(|allowed| allowed == region);
            if regions.is_empty() || region.is_some_and(is_allowed) {
                continue;
            }
            let place = match region {
                Some(region) => format!("is in {region}"),
                None => "names no hosted.region".to_owned(),
            };
            return Err(format!(
                "policy `{policy}` lets texts go to {} alone, and this model {place}",
                regions.join(", ")
            ));
        }
        Ok(())
    }
}

/// Revisions of a policy's rules, and of its bounds where it has some: who does not know them must not say
/// that it enforces the policy.
pub fn revisions_within(revisions: String, bounds: &DataBounds) -> String {
    if bounds.is_open() {
        return revisions;
    }
    format!("{revisions} data.{REVISION}")
}

#[cfg(test)]
mod tests {
    use super::{AllowedModels, Bounds, DataBounds, Place, revisions_within};

    fn bounds(models: AllowedModels, regions: &[&str]) -> DataBounds {
        DataBounds {
            models,
            regions: regions.iter().map(ToString::to_string).collect(),
        }
    }

    fn hosted(region: &str) -> Place<'_> {
        Place::Hosted {
            region: Some(region),
        }
    }

    #[test]
    fn models_of_the_cluster_are_within_every_bound() {
        let strictest = bounds(AllowedModels::PrivateOnly, &["eu"]);
        let bounds = Bounds::new([("p".to_owned(), strictest)]);
        assert_eq!(bounds.admit(Place::Private), Ok(()));
        let refused = bounds.admit(hosted("eu")).unwrap_err();
        assert!(refused.contains("`p`"), "{refused}");
    }

    #[test]
    fn a_hosted_model_must_be_in_a_region_that_every_policy_allows() {
        let bounds = Bounds::new([
            ("a".to_owned(), bounds(AllowedModels::Any, &["eu", "uk"])),
            ("b".to_owned(), bounds(AllowedModels::Any, &["uk", "us"])),
            ("open".to_owned(), DataBounds::default()),
        ]);
        assert_eq!(bounds.admit(hosted("uk")), Ok(()));
        assert!(bounds.admit(hosted("eu")).unwrap_err().contains("`b`"));
        assert!(bounds.admit(hosted("us")).unwrap_err().contains("`a`"));
        assert!(bounds.admit(Place::Hosted { region: None }).is_err());
    }

    #[test]
    fn bounds_have_a_revision_only_where_there_are_some() {
        let revisions = || "engine.1 terms.1".to_owned();
        assert_eq!(
            revisions_within(revisions(), &DataBounds::default()),
            revisions()
        );
        let bounded = bounds(AllowedModels::PrivateOnly, &[]);
        assert_eq!(
            revisions_within(revisions(), &bounded),
            "engine.1 terms.1 data.1"
        );
    }
}
