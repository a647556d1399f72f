//! CPU time and memory of processes, from /proc.

use std::fs;

use rustix::param::clock_ticks_per_second;

/// User and system time of all of `pids` so far, in seconds. Processes that are gone count nothing.
pub fn cpu_seconds(pids: &[u32]) -> f64 {
    pids.iter().filter_map(|pid| cpu_seconds_of(&format!("/proc/{pid}/stat"))).sum()
}

/// The same of this process.
pub fn own_cpu_seconds() -> f64 {
    cpu_seconds_of("/proc/self/stat").unwrap_or(0.0)
}

fn cpu_seconds_of(path: &str) -> Option<f64> {
    let stat = fs::read_to_string(path).ok()?;
    // The command may hold blanks and parentheses; fields count from after its last one, utime is the 12th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / clock_ticks_per_second() as f64)
}

/// Resident memory of each of `pids` in MiB.
pub fn resident_mib(pids: &[u32]) -> Vec<f64> {
    let resident = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
    };
    pids.iter().filter_map(resident).collect()
}
