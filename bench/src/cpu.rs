//! CPU time and memory of a process, read from procfs: no unsafe, no foreign library.
//!
//! `schedstat` counts nanoseconds but only of live threads; `stat` counts dead ones too, in ticks of 10 ms.
//! The larger of both is taken, so that a short run is exact and no thread is forgotten.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// The kernel's clock tick as procfs shows it: `USER_HZ` is 100 on every Linux architecture Rust supports.
const TICK: Duration = Duration::from_millis(10);

/// User and system time at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTime {
    threads: Duration,
    ticks: Duration,
}

impl CpuTime {
    /// Of this process so far.
    ///
    /// # Errors
    /// When procfs is missing or unreadable.
    pub(crate) fn of_self() -> anyhow::Result<Self> {
        Self::of("self")
    }

    /// Of another process so far.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn of_process(id: u32) -> anyhow::Result<Self> {
        Self::of(&id.to_string())
    }

    fn of(process: &str) -> anyhow::Result<Self> {
        let mut threads = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end between the listing and the reading; its time is then in the ticks.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let ns = text.split(' ').next().and_then(|field| field.parse().ok());
            threads += Duration::from_nanos(ns.context("schedstat begins with a number")?);
        }
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may hold spaces: fields count from behind it.
        let (_, fields) = stat.rsplit_once(')').context("stat has a name")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
        let (Some(Ok(user)), Some(Ok(system))) = (times.next(), times.next()) else {
            anyhow::bail!("stat has no times");
        };
        Ok(Self { threads, ticks: TICK * (user + system) })
    }

    /// Time used by this process since `self` was taken of it.
    ///
    /// # Errors
    /// As [`CpuTime::of_self`].
    pub(crate) fn until_now(&self) -> anyhow::Result<Duration> {
        let now = Self::of_self()?;
        let threads = now.threads.saturating_sub(self.threads);
        let ticks = now.ticks.saturating_sub(self.ticks).saturating_sub(TICK * 2);
        Ok(threads.max(ticks))
    }

    /// Time used since the process started.
    pub(crate) fn total(&self) -> Duration {
        self.threads.max(self.ticks.saturating_sub(TICK * 2))
    }
}

/// Largest resident memory of this process so far.
///
/// # Errors
/// When procfs is missing.
pub(crate) fn peak_rss_mib() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("status has VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_as_cpu_time_also_when_its_thread_is_gone() {
        let before = CpuTime::of_self().expect("procfs");
        std::thread::spawn(|| {
            let mut value = 1_u64;
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_millis(200) {
                value = std::hint::black_box(value.wrapping_mul(3));
            }
        })
        .join()
        .expect("no panic");
        assert!(before.until_now().expect("procfs") > Duration::from_millis(40));
        assert!(peak_rss_mib().expect("procfs") > 1.0);
    }
}
