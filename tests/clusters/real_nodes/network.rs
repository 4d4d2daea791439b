//! The nodes' network: a bridge in a namespace of its own, a port of it for each node, and one for this machine.

use std::process::Command;
use std::time::{Duration, Instant};

use super::run;

/// `unshare` takes a moment to leave our network namespace.
pub fn wait_for_own_network(pid: u32) -> Result<(), String> {
    let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let end = Instant::now() + Duration::from_secs(5);
    while network(&pid.to_string()).is_none_or(|theirs| Some(theirs) == network("self")) {
        if Instant::now() > end {
            return Err("cannot make a network namespace (unshare --net)".to_owned());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Makes the nodes' bridge in the switch's namespace and one link from this machine to it, with the first address
/// of a free subnet 10.89.N.0/24 at our end; returns N. The link's name keeps others off the subnet.
pub fn link_machine_to_switch(switch: u32) -> Result<u8, String> {
    let pid = switch.to_string();
    in_network_of(switch, &["ip", "link", "add", "bridge", "type", "bridge"])?;
    in_network_of(switch, &["ip", "link", "set", "bridge", "up"])?;
    let mut last = String::new();
    for subnet in 0..=255u8 {
        let gateway = format!("10.89.{subnet}.1");
        let routes = Command::new("ip")
            .args(["-4", "route", "show", "to", "match", &gateway])
            .output();
        let routes = routes.map_err(|e| format!("ip: {e}"))?.stdout;
        if String::from_utf8_lossy(&routes)
            .lines()
            .any(|route| !route.starts_with("default"))
        {
            continue;
        }
        let name = format!("byocni-{subnet}");
        let link = [
            "link", "add", &name, "type", "veth", "peer", "name", "machine", "netns", &pid,
        ];
        if let Err(reason) = run(Command::new("ip").args(link)) {
            last = reason;
            continue;
        }
        let address = format!("{gateway}/24");
        run(Command::new("ip").args(["address", "add", &address, "dev", &name]))?;
        run(Command::new("ip").args(["link", "set", &name, "up"]))?;
        in_network_of(
            switch,
            &["ip", "link", "set", "machine", "master", "bridge", "up"],
        )?;
        return Ok(subnet);
    }
    Err(format!("no free subnet 10.89.N.0/24: {last}"))
}

pub fn in_network_of(pid: u32, words: &[&str]) -> Result<(), String> {
    run(Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .args(words))
}
