//! How long things took.

use std::time::Duration;

#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub fn append(&mut self, mut other: Times) {
        self.0.append(&mut other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Median, 99th percentile and longest in milliseconds, as fields that begin with `name`.
    pub fn json(&mut self, name: &str) -> String {
        self.0.sort_unstable();
        let at = |share: f64| {
            let last = self.0.len().saturating_sub(1);
            let took = self.0.get((last as f64 * share) as usize).copied();
            took.unwrap_or_default().as_secs_f64() * 1e3
        };
        format!(
            "\"{name}p50_ms\":{:.3},\"{name}p99_ms\":{:.3},\"{name}max_ms\":{:.3}",
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}
