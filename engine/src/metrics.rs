//! Every metric of the product, declared once: name, kind, unit, labels and what it means.
//!
//! A scrape hands in a plain [`Snapshot`] of what the engine has counted and gets the text that Prometheus reads;
//! nothing is counted here and nothing of the crate is imported. No label holds a number, a text or an unbounded name.
//! The text is the classic format 0.0.4: `promtool check metrics` and every Prometheus understand it.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The lane of every campaign, until there are more.
const LANE: &str = "normal";

/// Upper bounds of the submit latency in microseconds, 31 us to 8.4 s: the engine's histogram is exact at these.
pub const LATENCY_BOUNDS_US: [u64; 19] = {
    let mut bounds = [0; 19];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = (1 << (at + 5)) - 1;
        at += 1;
    }
    bounds
};

/// What a final receipt can say, in the order of [`ChannelSnapshot::receipts`].
pub const RECEIPT_STATES: [&str; 5] = ["delivered", "undeliverable", "rejected", "expired", "unknown"];

/// One metric as the outside knows it.
struct Metric {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
}

const SUBMITTED: Metric = Metric {
    name: "mc_channel_submitted_total",
    help: "Segments (submit_sm) written for the wire.",
    kind: MetricType::Counter,
    labels: &["channel"],
};
const RESPONSES: Metric = Metric {
    name: "mc_channel_responses_total",
    help: "Answers to submit_sm by class: accepted, refused for good, throttled, temporary (sent again).",
    kind: MetricType::Counter,
    labels: &["channel", "class"],
};
const RECEIPTS: Metric = Metric {
    name: "mc_channel_receipts_total",
    help: "Final receipts that found their message, by state.",
    kind: MetricType::Counter,
    labels: &["channel", "state"],
};
const IN_FLIGHT: Metric = Metric {
    name: "mc_channel_window_in_flight",
    help: "Segments on the wire without an answer.",
    kind: MetricType::Gauge,
    labels: &["channel", "bind"],
};
const BIND_UP: Metric = Metric {
    name: "mc_channel_bind_up",
    help: "Whether the bind is up: 1 or 0.",
    kind: MetricType::Gauge,
    labels: &["channel", "bind"],
};
const THROTTLED: Metric = Metric {
    name: "mc_channel_throttled_total",
    help: "Answers that asked for a slower pace; their segments are sent again.",
    kind: MetricType::Counter,
    labels: &["channel"],
};
const LATENCY: Metric = Metric {
    name: "mc_submit_latency_seconds",
    help: "Time from submit_sm to its accepting answer, in seconds.",
    kind: MetricType::Histogram,
    labels: &["channel"],
};
const QUEUE: Metric = Metric {
    name: "mc_queue_depth",
    help: "Segments that wait in the binds of a channel; without channel: recipients that no channel holds yet.",
    kind: MetricType::Gauge,
    labels: &["channel", "lane"],
};
const UNKNOWN: Metric = Metric {
    name: "mc_unknown_total",
    help: "Segments whose answer will not come (lost with a bind, too late, left open by a crash) or whose receipt was given up.",
    kind: MetricType::Counter,
    labels: &[],
};
const ORPHANS: Metric = Metric {
    name: "mc_orphan_receipts_total",
    help: "Final receipts that found no message when they came; they are kept.",
    kind: MetricType::Counter,
    labels: &["channel"],
};
const LOGIN_FAILURES: Metric = Metric {
    name: "mc_login_failures_total",
    help: "Logins that were refused: wrong password, locked account, too many from one address.",
    kind: MetricType::Counter,
    labels: &[],
};
const MAILS: Metric = Metric {
    name: "mc_mail_total",
    help: "Mails with links by how they ended: sent, failed (given up), void (its link no longer worked), refused (not queued).",
    kind: MetricType::Counter,
    labels: &["result"],
};
const CAMPAIGNS: Metric = Metric {
    name: "mc_campaigns",
    help: "Campaigns that are not archived, by status, over all workspaces.",
    kind: MetricType::Gauge,
    labels: &["status"],
};
const HTTP: Metric = Metric {
    name: "mc_http_request_seconds",
    help: "Time from a request of the API to the head of its answer, in seconds; routes are the registered ones, none stands for all others.",
    kind: MetricType::Histogram,
    labels: &["route", "method", "status"],
};
const AUDIT_FALLBACK: Metric = Metric {
    name: "mc_audit_fallback_bytes",
    help: "Octets of audit events that wait in the fallback file for the store; 0 is the rule.",
    kind: MetricType::Gauge,
    labels: &[],
};
const AUDIT_DROPPED: Metric = Metric {
    name: "mc_audit_events_dropped_total",
    help: "Audit events lost because the store took none and the fallback file was full or could not be written.",
    kind: MetricType::Counter,
    labels: &[],
};
const BUILD: Metric = Metric {
    name: "mc_build_info",
    help: "1, with the version of the program.",
    kind: MetricType::Gauge,
    labels: &["version"],
};

/// What one scrape tells.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Version of the program.
    pub version: &'static str,
    /// The channels.
    pub channels: Vec<ChannelSnapshot>,
    /// Recipients that no channel holds yet.
    pub queued: u64,
    /// Segments whose answer will not come or whose receipt was given up.
    pub unknown: u64,
    /// Octets in the audit fallback file.
    pub audit_fallback: u64,
    /// Audit events lost.
    pub audit_dropped: u64,
    /// Logins that were refused.
    pub login_failures: u64,
    /// Mails by the name of their ending.
    pub mails: Vec<(&'static str, u64)>,
    /// Campaigns by the name of their status; none when they could not be counted.
    pub campaigns: Vec<(String, u64)>,
    /// What the API has answered; `None` where no API is served.
    pub api: Option<ApiSnapshot>,
}

/// What the API has answered.
#[derive(Clone, Debug, Default)]
pub struct ApiSnapshot {
    /// Requests by route, method and status.
    pub requests: Vec<RequestSnapshot>,
    /// Upper bounds of the buckets of [`RequestSnapshot::buckets`], microseconds, ascending.
    pub bounds_us: &'static [u64],
}

/// Requests of one route, method and status.
#[derive(Clone, Debug, Default)]
pub struct RequestSnapshot {
    /// The route with its parameters' names.
    pub route: String,
    /// The method.
    pub method: String,
    /// The status.
    pub status: u16,
    /// How many took at most each bound and longer than the one before.
    pub buckets: Vec<u64>,
    /// How many there were.
    pub count: u64,
    /// How long all of them took, microseconds.
    pub sum_us: u64,
}

/// One channel.
#[derive(Clone, Debug, Default)]
pub struct ChannelSnapshot {
    /// Its name.
    pub name: String,
    /// Binds that are up.
    pub up: Vec<bool>,
    /// Unanswered segments, by bind.
    pub in_flight: Vec<u32>,
    /// Segments that its binds hold and have not written.
    pub waiting: u64,
    /// Segments written.
    pub submitted: u64,
    /// Accepted.
    pub accepted: u64,
    /// Refused for good.
    pub refused: u64,
    /// Throttled.
    pub throttled: u64,
    /// Refused for a while.
    pub temporary: u64,
    /// Final receipts, as [`RECEIPT_STATES`] names them.
    pub receipts: [u64; RECEIPT_STATES.len()],
    /// Final receipts without a message.
    pub orphans: u64,
    /// Times from submit to answer.
    pub latency: LatencySnapshot,
}

/// Times from submit to answer.
#[derive(Clone, Debug, Default)]
pub struct LatencySnapshot {
    /// How many were at or below each of [`LATENCY_BOUNDS_US`].
    pub cumulative: Vec<u64>,
    /// How many there were.
    pub count: u64,
    /// Their sum in microseconds.
    pub sum_us: u64,
}

/// The text of one scrape.
#[must_use]
pub fn render(snapshot: Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    text::encode_registry(&mut text, &registry).expect("a string takes everything");
    text
}

/// Label values and what is measured under them.
type Row<'a> = (Vec<&'a str>, u64);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let each = |value: fn(&ChannelSnapshot) -> u64| -> Vec<Row<'_>> {
            self.channels.iter().map(|channel| (vec![channel.name.as_str()], value(channel))).collect()
        };
        write(&mut encoder, &SUBMITTED, &each(|channel| channel.submitted))?;
        write(&mut encoder, &RESPONSES, &self.responses())?;
        write(&mut encoder, &THROTTLED, &each(|channel| channel.throttled))?;
        write(&mut encoder, &RECEIPTS, &self.receipts())?;
        write(&mut encoder, &ORPHANS, &each(|channel| channel.orphans))?;
        self.write_binds(&mut encoder)?;
        write(&mut encoder, &QUEUE, &self.queues())?;
        write(&mut encoder, &UNKNOWN, &[(vec![], self.unknown)])?;
        write(&mut encoder, &LOGIN_FAILURES, &[(vec![], self.login_failures)])?;
        let mails = self.mails.iter().map(|(ending, count)| (vec![*ending], *count));
        write(&mut encoder, &MAILS, &mails.collect::<Vec<_>>())?;
        write(&mut encoder, &AUDIT_FALLBACK, &[(vec![], self.audit_fallback)])?;
        write(&mut encoder, &AUDIT_DROPPED, &[(vec![], self.audit_dropped)])?;
        write(&mut encoder, &BUILD, &[(vec![self.version], 1)])?;
        let campaigns = self.campaigns.iter().map(|(status, count)| (vec![status.as_str()], *count));
        write(&mut encoder, &CAMPAIGNS, &campaigns.collect::<Vec<_>>())?;
        self.write_latency(&mut encoder)?;
        self.api.as_ref().map_or(Ok(()), |api| api.write(&mut encoder))
    }
}

impl Snapshot {
    fn responses(&self) -> Vec<Row<'_>> {
        let of = |channel: &ChannelSnapshot| {
            [
                ("accepted", channel.accepted),
                ("refused", channel.refused),
                ("throttled", channel.throttled),
                ("temporary", channel.temporary),
            ]
        };
        let rows = self.channels.iter().flat_map(|channel| {
            of(channel).into_iter().map(|(class, count)| (vec![channel.name.as_str(), class], count))
        });
        rows.collect()
    }

    fn receipts(&self) -> Vec<Row<'_>> {
        let rows = self.channels.iter().flat_map(|channel| {
            let states = RECEIPT_STATES.iter().zip(channel.receipts);
            states.map(|(state, count)| (vec![channel.name.as_str(), state], count))
        });
        rows.collect()
    }

    fn queues(&self) -> Vec<Row<'_>> {
        let channels =
            self.channels.iter().map(|channel| (vec![channel.name.as_str(), LANE], channel.waiting));
        channels.chain([(vec!["", LANE], self.queued)]).collect()
    }

    fn write_binds(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let binds = self.channels.iter().map(|channel| channel.up.len()).max().unwrap_or(0);
        let names: Vec<String> = (1..=binds).map(|bind| bind.to_string()).collect();
        let mut in_flight: Vec<Row<'_>> = Vec::new();
        let mut up: Vec<Row<'_>> = Vec::new();
        for channel in &self.channels {
            let labels = || names.iter().map(|bind| vec![channel.name.as_str(), bind]);
            in_flight.extend(labels().zip(channel.in_flight.iter().copied().map(u64::from)));
            up.extend(labels().zip(channel.up.iter().copied().map(u64::from)));
        }
        write(encoder, &IN_FLIGHT, &in_flight)?;
        write(encoder, &BIND_UP, &up)
    }

    fn write_latency(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = encoder.encode_descriptor(LATENCY.name, LATENCY.help, None, LATENCY.kind)?;
        for channel in &self.channels {
            let LatencySnapshot { cumulative, count, sum_us } = &channel.latency;
            let mut before = 0;
            let seen = cumulative.iter().map(|seen| seen - std::mem::replace(&mut before, *seen));
            let buckets = buckets(&LATENCY_BOUNDS_US, seen, *count);
            let labels = [("channel", channel.name.as_str())];
            let mut metric = family.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(seconds(*sum_us), *count, &buckets, None)?;
        }
        Ok(())
    }
}

impl ApiSnapshot {
    fn write(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = encoder.encode_descriptor(HTTP.name, HTTP.help, None, HTTP.kind)?;
        for of in &self.requests {
            let buckets = buckets(self.bounds_us, of.buckets.iter().copied(), of.count);
            let status = of.status.to_string();
            let labels =
                [("route", of.route.as_str()), ("method", of.method.as_str()), ("status", status.as_str())];
            let mut metric = family.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(seconds(of.sum_us), of.count, &buckets, None)?;
        }
        Ok(())
    }
}

/// Buckets with their bounds in seconds; what is in none of them is longer than the last bound.
fn buckets(bounds_us: &[u64], seen: impl Iterator<Item = u64>, count: u64) -> Vec<(f64, u64)> {
    let mut buckets: Vec<(f64, u64)> = bounds_us.iter().map(|us| seconds(*us)).zip(seen).collect();
    let within: u64 = buckets.iter().map(|(_, seen)| seen).sum();
    buckets.push((f64::INFINITY, count.saturating_sub(within)));
    buckets
}

/// Writes a counter or gauge. Both go out as gauges do: the encoder would append `_total` to the samples of a counter
/// and leave it out of its description, as OpenMetrics has it and the classic format does not.
fn write(encoder: &mut DescriptorEncoder, metric: &Metric, rows: &[Row<'_>]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(metric.name, metric.help, None, metric.kind)?;
    for (values, count) in rows {
        if metric.labels.is_empty() {
            family.encode_gauge(count)?;
            continue;
        }
        debug_assert_eq!(values.len(), metric.labels.len(), "{} has a value for each label", metric.name);
        let labels: Vec<(&str, &str)> = metric.labels.iter().copied().zip(values.iter().copied()).collect();
        family.encode_family(&labels)?.encode_gauge(count)?;
    }
    Ok(())
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let mut cumulative = vec![0; LATENCY_BOUNDS_US.len()];
        cumulative[1..].fill(19);
        let channel = ChannelSnapshot {
            name: "a".to_owned(),
            up: vec![true, false],
            in_flight: vec![7, 0],
            waiting: 9,
            submitted: 30,
            accepted: 20,
            refused: 2,
            throttled: 1,
            temporary: 4,
            receipts: [10, 1, 0, 0, 0],
            orphans: 3,
            latency: LatencySnapshot { cumulative, count: 20, sum_us: 4_000_000 },
        };
        let request = RequestSnapshot {
            route: "/api/v1/w/{slug}/overview".to_owned(),
            method: "GET".to_owned(),
            status: 200,
            buckets: vec![3, 1],
            count: 6,
            sum_us: 2_500_000,
        };
        let api = ApiSnapshot { requests: vec![request], bounds_us: &[1_000, 500_000] };
        Snapshot {
            version: "1.2.3",
            channels: vec![channel],
            queued: 50,
            unknown: 5,
            audit_fallback: 700,
            audit_dropped: 6,
            campaigns: vec![("New".to_owned(), 4), ("Sending".to_owned(), 0)],
            api: Some(api),
            login_failures: 3,
            mails: vec![("sent", 8), ("failed", 2)],
        }
    }

    #[test]
    fn every_sample_stands_under_a_description_of_its_own_name() {
        let text = render(snapshot());
        let mut described = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                described = rest.split(' ').nth(1).unwrap_or_default();
                continue;
            }
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(name == described || base == Some(described), "{line} under {described}");
        }
    }

    #[test]
    fn the_samples_say_what_was_counted() {
        let text = render(snapshot());
        for line in [
            "# TYPE mc_channel_submitted_total counter",
            "mc_channel_submitted_total{channel=\"a\"} 30",
            "mc_channel_responses_total{channel=\"a\",class=\"temporary\"} 4",
            "mc_channel_receipts_total{channel=\"a\",state=\"undeliverable\"} 1",
            "mc_channel_window_in_flight{channel=\"a\",bind=\"1\"} 7",
            "mc_channel_bind_up{channel=\"a\",bind=\"2\"} 0",
            "mc_queue_depth{channel=\"a\",lane=\"normal\"} 9",
            "mc_audit_fallback_bytes 700",
            "mc_audit_events_dropped_total 6",
            "mc_queue_depth{channel=\"\",lane=\"normal\"} 50",
            "mc_login_failures_total 3",
            "# TYPE mc_mail_total counter",
            "mc_mail_total{result=\"sent\"} 8",
            "mc_mail_total{result=\"failed\"} 2",
            "mc_build_info{version=\"1.2.3\"} 1",
            "mc_submit_latency_seconds_bucket{le=\"0.000031\",channel=\"a\"} 0",
            "mc_submit_latency_seconds_bucket{le=\"0.000063\",channel=\"a\"} 19",
            "mc_submit_latency_seconds_bucket{le=\"8.388607\",channel=\"a\"} 19",
            "mc_submit_latency_seconds_bucket{le=\"+Inf\",channel=\"a\"} 20",
            "mc_submit_latency_seconds_sum{channel=\"a\"} 4.0",
            "mc_submit_latency_seconds_count{channel=\"a\"} 20",
            "mc_campaigns{status=\"New\"} 4",
            "mc_campaigns{status=\"Sending\"} 0",
            "mc_http_request_seconds_bucket{le=\"0.5\",route=\"/api/v1/w/{slug}/overview\",method=\"GET\",status=\"200\"} 4",
            "mc_http_request_seconds_bucket{le=\"+Inf\",route=\"/api/v1/w/{slug}/overview\",method=\"GET\",status=\"200\"} 6",
            "mc_http_request_seconds_sum{route=\"/api/v1/w/{slug}/overview\",method=\"GET\",status=\"200\"} 2.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_metric_without_labels_has_no_braces() {
        assert!(render(snapshot()).lines().any(|line| line == "mc_unknown_total 5"));
    }
}
