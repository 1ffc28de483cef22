//! The command line of the cluster: up, down, and what tests and people ask of it.

use std::process::ExitCode;
use std::time::Instant;

use aios_e2e::Options;
use aios_e2e::files::ClusterDir;
use aios_e2e::images::{self, Image};
use aios_e2e::node::components::Programs;
use aios_e2e::node::{host, supervise};
use aios_e2e::progress::seconds;
use aios_e2e::provider::Provider;
use aios_e2e::tools::Tool;
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

/// A real Kubernetes on this machine, for the demo and the tests.
///
/// `AIOS_CLUSTER=local|kind|current` chooses where (default: local).
#[derive(Parser)]
#[command(name = "cluster")]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Bring the cluster up, with the project's images
    Up {
        #[command(flatten)]
        which: Which,
        /// Load no images
        #[arg(long)]
        no_images: bool,
    },
    /// Take the cluster down and remove all it left
    Down(Which),
    /// Say whether it is up, and where its files are
    Status(Which),
    /// Print the path of its kubeconfig
    Kubeconfig(Which),
    /// Build and load images, all or those named
    LoadImages {
        #[command(flatten)]
        which: Which,
        /// Such as operator, or aios/operator
        #[arg(value_parser = image)]
        images: Vec<Image>,
    },
    /// Build what a cluster consists of, without starting one
    Tools,
    /// Print the path of a built tool, such as helm
    #[command(hide = true)]
    ToolPath { name: String },
    #[command(hide = true)]
    Host {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        programs: Programs,
    },
    #[command(hide = true)]
    Init {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        programs: Programs,
    },
    #[command(hide = true)]
    Node {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        programs: Programs,
    },
}

#[derive(Args)]
struct Which {
    /// Clusters of different names run side by side
    #[arg(long, env = "AIOS_CLUSTER_NAME", default_value = Options::DEFAULT_NAME)]
    name: String,
}

fn image(name: &str) -> Result<Image, String> {
    let known = || Image::PROJECT.map(Image::name).join(", ");
    Image::by_name(name).ok_or_else(|| format!("there are {}", known()))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> Result<ExitCode> {
    if let Action::Init { which, programs } = action {
        let mut arguments = vec!["node".into(), "--name".into(), which.name.into()];
        arguments.extend(programs.to_args());
        return supervise::init(&arguments);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(act(action))
}

async fn act(action: Action) -> Result<ExitCode> {
    match action {
        Action::Up { which, no_images } => {
            let images: &[Image] = if no_images { &[] } else { &Image::PROJECT };
            up(&Options::named(&which.name)?, images).await?;
        }
        Action::Down(which) => Options::named(&which.name)?.down().await?,
        Action::Status(which) => return status(&Options::named(&which.name)?).await,
        Action::Kubeconfig(which) => {
            println!("{}", Options::named(&which.name)?.kubeconfig()?.display());
        }
        Action::LoadImages { which, images } => {
            let options = Options::named(&which.name)?;
            let images = if images.is_empty() {
                Image::PROJECT.to_vec()
            } else {
                images
            };
            images::load(options.provider, &options.dir, &images).await?;
        }
        Action::Tools => {
            for tool in Tool::ALL {
                println!("{}", tool.ensure().await?.display());
            }
        }
        Action::ToolPath { name } => {
            let tool = Tool::ALL.into_iter().find(|tool| tool.name() == name);
            println!(
                "{}",
                tool.with_context(|| format!("there is no tool {name}"))?
                    .ensure()
                    .await?
                    .display()
            );
        }
        Action::Host { which, programs } => {
            Box::pin(host::run(&ClusterDir::new(&which.name)?, &programs)).await?;
        }
        Action::Node { which, programs } => {
            supervise::run(&ClusterDir::new(&which.name)?, &programs).await?;
        }
        Action::Init { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn up(options: &Options, images: &[Image]) -> Result<()> {
    let begun = Instant::now();
    eprintln!(
        "Cluster {} ({})",
        options.dir.name(),
        options.provider.name()
    );
    options.up(images).await?;
    eprintln!(
        "Up in {}. To use it: export KUBECONFIG={}",
        seconds(begun.elapsed()),
        options.kubeconfig()?.display()
    );
    Ok(())
}

async fn status(options: &Options) -> Result<ExitCode> {
    let is_up = options.is_up().await?;
    println!(
        "{} ({}): {}",
        options.dir.name(),
        options.provider.name(),
        if is_up { "up" } else { "down" }
    );
    if !is_up {
        return Ok(ExitCode::from(3));
    }
    println!("kubeconfig  {}", options.kubeconfig()?.display());
    if options.provider == Provider::Local {
        println!("logs        {}", options.dir.logs().display());
        println!("audit log   {}", options.dir.audit_log().display());
    }
    Ok(ExitCode::SUCCESS)
}
