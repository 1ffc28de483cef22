use std::{fs, path::Path, time::Duration};

use aios_crds::{
    WritingPipeline, WritingRun, WritingRunSpec,
    reference::LocalRef,
    writing_run::{RunInput, UploadInput},
};
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, api::PostParams};
use serde_json::{Map, Value};

use super::{session::Session, watch};
use crate::cli::Run;

type Pointer = Map<String, Value>;

/// Uploads, starts, and waits if asked. Nothing is uploaded before all of it was read and fits.
pub async fn run(arguments: &Run, session: &Session) -> Result<bool> {
    let pipeline = pipeline(arguments, session).await?;
    let mut uploads = Vec::new();
    for upload in &arguments.upload {
        let (text, records) = ndjson(&upload.file)?;
        uploads.push((upload.context.as_str(), text, records.len()));
    }
    let mut spec = spec(arguments)?;
    fits(&spec, &pipeline, arguments)?;
    spec.author = Some(session.user_name().await?);
    if !uploads.is_empty() {
        let gateway = session.gateway().await?;
        for (context, text, records) in uploads {
            gateway
                .put_context(&arguments.pipeline, context, text)
                .await
                .with_context(|| format!("cannot upload {context}"))?;
            println!("uploaded {records} records of {context}");
        }
    }
    let name = arguments
        .name
        .clone()
        .unwrap_or_else(|| default_name(&arguments.pipeline));
    let runs = Api::<WritingRun>::namespaced(session.client.clone(), &session.namespace);
    runs.create(&PostParams::default(), &WritingRun::new(&name, spec))
        .await
        .with_context(|| format!("cannot create WritingRun {name}"))?;
    println!("writingrun.aios.dev/{name} created");
    if arguments.wait {
        watch::until_finished(&runs, &name, Duration::from_secs(arguments.timeout)).await
    } else {
        println!(
            "follow it: kubectl -n {} get writingrun {name} --watch",
            session.namespace
        );
        Ok(true)
    }
}

async fn pipeline(arguments: &Run, session: &Session) -> Result<WritingPipeline> {
    let name = &arguments.pipeline;
    Api::<WritingPipeline>::namespaced(session.client.clone(), &session.namespace)
        .get_opt(name)
        .await
        .with_context(|| format!("cannot read WritingPipeline {name}: see `kubectl aios doctor`"))?
        .with_context(|| {
            let namespace = &session.namespace;
            format!("namespace {namespace} has no WritingPipeline {name}: see `kubectl -n {namespace} get writingpipelines`")
        })
}

fn spec(arguments: &Run) -> Result<WritingRunSpec> {
    let over = arguments
        .over
        .clone()
        .or_else(|| Some(arguments.upload.first()?.context.clone()));
    let input = match (&arguments.pointers, over) {
        (Some(file), _) => RunInput {
            pointers: Some(ndjson(file)?.1),
            upload: None,
        },
        (None, Some(context)) => RunInput {
            pointers: None,
            upload: Some(UploadInput { context }),
        },
        (None, None) => bail!(
            "what shall be written? pass --upload CONTEXT=FILE, --over CONTEXT for records that \
             were uploaded before, or --pointers FILE"
        ),
    };
    Ok(WritingRunSpec {
        pipeline_ref: LocalRef {
            name: arguments.pipeline.clone(),
        },
        input,
        author: None,
        deadline: arguments.deadline.map(Time),
        budget: None,
        suspend: false,
        ttl_seconds_after_finished: None,
    })
}

/// What the operator would say of the run, before anything is uploaded.
fn fits(spec: &WritingRunSpec, pipeline: &WritingPipeline, arguments: &Run) -> Result<()> {
    let name = arguments.name.as_deref().unwrap_or("run");
    let mut found = aios_compile::run(name, "", spec).err().unwrap_or_default();
    found.extend(aios_compile::run_fits(spec, &pipeline.spec));
    let contexts: Vec<_> = pipeline
        .spec
        .context
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    if let Some(upload) = arguments
        .upload
        .iter()
        .find(|u| !contexts.contains(&u.context.as_str()))
    {
        bail!(
            "--upload {}: the pipeline has no such context; it has {}",
            upload.context,
            contexts.join(", ")
        );
    }
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    bail!("the run does not fit the pipeline:\n{}", lines.join("\n"))
}

/// The text of a file and its lines, each one object.
fn ndjson(path: &Path) -> Result<(String, Vec<Pointer>)> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let mut objects = Vec::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let object = serde_json::from_str(line)
            .with_context(|| format!("{shown} line {}: write one JSON object a line", index + 1))?;
        objects.push(object);
    }
    if objects.is_empty() {
        bail!("{shown} is empty: write one JSON object a line");
    }
    Ok((text, objects))
}

/// The pipeline's name, cut, and the second in UTC: 52 characters at most.
fn default_name(pipeline: &str) -> String {
    let head: String = pipeline.chars().take(36).collect();
    let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{}-{time}", head.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{default_name, ndjson};

    #[test]
    fn default_names_fit_a_job() {
        let name = default_name(&"p".repeat(52));
        assert_eq!(name.len(), 52, "{name}");
    }

    #[test]
    fn a_broken_record_is_named_by_its_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"id\": 1}\n\n[2]\n").unwrap();
        let error = format!("{:#}", ndjson(file.path()).unwrap_err());
        assert!(
            error.contains("line 3: write one JSON object a line"),
            "{error}"
        );
    }
}
