//! The node's own network. A bridge without ports carries its address, since
//! not every kernel has `dummy` devices.

use std::fs;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{GATEWAY_IP, NODE_IP};
use crate::procs::output;

pub async fn set_up() -> Result<()> {
    let address = format!("{NODE_IP}/24");
    let commands: [&[&str]; 5] = [
        &["link", "set", "lo", "up"],
        &["link", "add", "node0", "type", "bridge"],
        &["addr", "add", &address, "dev", "node0"],
        &["link", "set", "node0", "up"],
        &["route", "add", "default", "via", GATEWAY_IP, "dev", "node0"],
    ];
    for arguments in commands {
        output(Command::new("ip").args(arguments)).await?;
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")
        .context("cannot turn on forwarding between pods")
}
