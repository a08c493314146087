//! The exposition as a scraper reads it, and the documents that name it.

use super::catalog::COUNTED_HERE;
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};
use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;
use weir_policies::target::Form;

fn catalog() -> Vec<Described> {
    let collected = Collected::ALL.into_iter().map(Collected::described);
    COUNTED_HERE.into_iter().chain(collected).collect()
}

fn record(form: Option<Form>, outcome: Outcome, milliseconds: u64, body_bytes: u64) -> Record {
    let client = "192.0.2.7:1".parse().unwrap();
    Record {
        form,
        outcome,
        duration: Duration::from_millis(milliseconds),
        body_bytes,
        ..Record::new(1, client, UNIX_EPOCH, Duration::ZERO)
    }
}

/// Every label has a sample, so that a scrape shows everything there is.
fn full() -> Metrics {
    let metrics = Metrics::new("1.2.3");
    metrics.watch(Arc::new(|samples: &mut Samples| {
        for metric in Collected::ALL {
            samples.add(metric, "one", 7);
        }
    }));
    metrics
}

fn assert_lines(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(
            text.lines().any(|present| present == *line),
            "{line} is not in:\n{text}"
        );
    }
}

#[test]
fn a_record_counts_in_every_metric_of_requests() {
    let metrics = Metrics::new("1.2.3");
    metrics.observe(&record(Some(Form::Forward), Outcome::Miss, 3, 1_000));
    metrics.observe(&record(Some(Form::Forward), Outcome::Hit, 1, 1_000));
    metrics.observe(&record(Some(Form::Forward), Outcome::Hit, 700_000, 500));
    metrics.observe(&record(None, Outcome::Refused, 0, 20));
    for reason in [NotStored::VaryStar, NotStored::Rule] {
        metrics.observe(&record(
            Some(Form::Mirror),
            Outcome::Uncached(reason),
            20,
            9,
        ));
    }
    let text = metrics.text().unwrap();
    assert_lines(
        &text,
        &[
            "weir_build_info{version=\"1.2.3\"} 1",
            "weir_requests_total{form=\"forward\",result=\"hit\"} 2",
            "weir_requests_total{form=\"forward\",result=\"miss\"} 1",
            "weir_requests_total{form=\"mirror\",result=\"uncached\"} 2",
            "weir_requests_total{form=\"none\",result=\"refused\"} 1",
            "weir_requests_total{form=\"path\",result=\"joined\"} 0",
            "weir_response_bytes_total{source=\"store\"} 1500",
            "weir_response_bytes_total{source=\"flight\"} 1000",
            "weir_response_bytes_total{source=\"upstream\"} 18",
            "weir_response_bytes_total{source=\"local\"} 20",
            "weir_request_duration_seconds_count 6",
            "weir_request_duration_seconds_sum 700.044",
            "weir_request_duration_seconds_bucket{le=\"0.0005\"} 1",
            "weir_request_duration_seconds_bucket{le=\"0.001\"} 2",
            "weir_request_duration_seconds_bucket{le=\"0.005\"} 3",
            "weir_request_duration_seconds_bucket{le=\"0.025\"} 5",
            "weir_request_duration_seconds_bucket{le=\"600.0\"} 5",
            "weir_request_duration_seconds_bucket{le=\"+Inf\"} 6",
        ],
    );
}

#[test]
fn a_tunnel_counts_as_a_request_and_not_as_a_slow_response() {
    let metrics = Metrics::new("1.2.3");
    metrics.observe(&record(None, Outcome::Tunnel, 86_400_000, 1_000));
    let expected = [
        "weir_requests_total{form=\"none\",result=\"tunnel\"} 1",
        "weir_response_bytes_total{source=\"upstream\"} 0",
        "weir_request_duration_seconds_count 0",
    ];
    assert_lines(&metrics.text().unwrap(), &expected);
}

#[test]
fn sources_are_read_at_every_scrape_and_add_up() {
    let metrics = Metrics::new("1.2.3");
    let reported = Arc::new(std::sync::atomic::AtomicU64::new(1));
    for bound in ["memory", "memory", "tasks"] {
        let reported = Arc::clone(&reported);
        metrics.watch(Arc::new(move |samples: &mut Samples| {
            let value = reported.load(std::sync::atomic::Ordering::Relaxed);
            samples.add(Collected::BoundHits, bound, value);
            samples.add(Collected::StoreObjects, "ignored", value);
        }));
    }
    let memory = "weir_bound_hits_total{bound=\"memory\"} 2";
    assert_lines(&metrics.text().unwrap(), &[memory, "weir_store_objects 3"]);
    reported.store(10, std::sync::atomic::Ordering::Relaxed);
    let memory = "weir_bound_hits_total{bound=\"memory\"} 20";
    assert_lines(&metrics.text().unwrap(), &[memory, "weir_store_objects 30"]);
}

#[test]
fn the_number_of_series_is_bounded() {
    let metrics = Metrics::new("1.2.3");
    metrics.watch(Arc::new(|samples: &mut Samples| {
        for number in 0..1_000 {
            samples.add(Collected::UpstreamErrors, &format!("host-{number}"), 1);
        }
    }));
    let text = metrics.text().unwrap();
    let series = text
        .lines()
        .filter(|line| line.starts_with("weir_upstream_errors_total{"));
    assert_eq!(series.count(), 257);
    assert_lines(&text, &["weir_upstream_errors_total{reason=\"other\"} 744"]);
}

#[test]
fn a_source_that_panics_costs_only_itself() {
    let metrics = full();
    metrics.watch(Arc::new(|_: &mut Samples| panic!("as the test wants it")));
    assert_lines(&metrics.text().unwrap(), &["weir_fill_active 7", "# EOF"]);
}

#[test]
fn label_values_are_escaped() {
    let metrics = Metrics::new("1.2.3");
    metrics.watch(Arc::new(|samples: &mut Samples| {
        samples.add(Collected::StoreBytes, "/srv/\"a\\b\"\n", 1);
    }));
    let line = "weir_store_bytes{disk=\"/srv/\\\"a\\\\b\\\"\\n\"} 1";
    assert_lines(&metrics.text().unwrap(), &[line]);
}

/// What promtool checks: one HELP and one TYPE a family, before its samples; every sample belongs to the family
/// above it; no series twice; EOF at the end.
#[test]
fn the_exposition_is_well_formed() {
    let text = full().text().unwrap();
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    let (mut helped, mut typed) = ("", "");
    let body = text.strip_suffix("# EOF\n").expect("ends with EOF");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (family, help) = rest.split_once(' ').unwrap();
            assert!(families.insert(family), "{family} twice");
            assert!(help.ends_with('.') && !help.ends_with(".."), "{line}");
            helped = family;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed = rest.split_once(' ').unwrap().0;
            assert_eq!(typed, helped, "TYPE follows its HELP");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(name), "{name} twice");
            assert!(name.starts_with(typed), "{name} under {typed}");
            value.parse::<f64>().unwrap();
        }
    }
    assert_eq!(families.len(), catalog().len());
}

#[test]
fn the_catalog_and_the_exposition_agree() {
    let text = full().text().unwrap();
    for described in catalog() {
        let Described {
            name,
            kind,
            labels,
            help,
            ..
        } = described;
        assert_lines(
            &text,
            &[
                &format!("# HELP {} {help}.", described.family()),
                &format!("# TYPE {} {}", described.family(), kind.as_str()),
            ],
        );
        let sample = text
            .lines()
            .find(|line| line.starts_with(name))
            .expect(name);
        let place = labels
            .iter()
            .map(|label| sample.find(&format!("{label}=\"")).expect(name));
        assert!(place.is_sorted(), "{sample}");
        let is_histogram = kind == catalog::Kind::Histogram;
        assert_eq!(
            sample.contains('{'),
            !labels.is_empty() && !is_histogram,
            "{sample}"
        );
    }
}

#[test]
fn names_follow_the_house_rules() {
    for Described {
        name, kind, unit, ..
    } in catalog()
    {
        assert!(name.starts_with("weir_"), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            kind == catalog::Kind::Counter,
            "{name}"
        );
        assert_eq!(
            name.ends_with("_info"),
            kind == catalog::Kind::Info,
            "{name}"
        );
        assert!(
            !["bytes", "seconds"].contains(&unit) || name.contains(unit),
            "{name}"
        );
    }
}

/// Dashboards depend on these.
#[test]
fn the_names_fixed_from_the_start_exist() {
    let labels: BTreeMap<_, _> = catalog().iter().map(|one| (one.name, one.labels)).collect();
    let check = |name, expected: &[&str]| assert_eq!(labels.get(name), Some(&expected), "{name}");
    check("weir_requests_total", &["form", "result"]);
    check("weir_request_duration_seconds", &[]);
    check("weir_response_bytes_total", &["source"]);
    check("weir_upstream_requests_total", &["result"]);
    check("weir_upstream_errors_total", &["reason"]);
    check("weir_fill_active", &[]);
    check("weir_fill_bytes_total", &[]);
    check("weir_fill_resumed_total", &[]);
    check("weir_fill_abandoned_total", &[]);
    check("weir_store_bytes", &["disk"]);
    check("weir_store_objects", &[]);
    check("weir_store_evicted_bytes_total", &["cause"]);
    check("weir_store_corrupt_blocks_total", &["disk"]);
    check("weir_store_underprotected_objects", &[]);
    check("weir_bound_hits_total", &["bound"]);
    check("weir_build_info", &["version"]);
}

/// Both ways: what exists is documented, in the same words, and what is documented exists.
#[test]
fn the_document_lists_every_metric() {
    let document = include_str!("../../../docs/METRICS.md");
    let rows: BTreeSet<&str> = document
        .lines()
        .filter(|line| line.starts_with("| `weir_"))
        .collect();
    let expected: Vec<String> = catalog().iter().map(row).collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let missing: Vec<_> = expected.difference(&rows).collect();
    let extra: Vec<_> = rows.difference(&expected).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:#?}, extra: {extra:#?}"
    );
}

/// The words that the document lists for a label.
fn documented(label: &str) -> BTreeSet<&'static str> {
    let document = include_str!("../../../docs/METRICS.md");
    let start = format!("| {label} | ");
    let values = document
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap();
    values.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_document_lists_what_upstream_requests_can_be_called() {
    let stats = crate::upstream::UpstreamStats::default();
    let reasons: BTreeSet<&str> = stats.errors().map(|(reason, _)| reason).collect();
    assert_eq!(documented("`reason`"), reasons);
    let mut results: BTreeSet<&str> = stats.requests().map(|(result, _)| result).collect();
    // Points at the label that says more.
    results.insert("reason");
    assert_eq!(documented("`result` of upstream requests"), results);
}

/// Read from the source: most bounds are only reported by a gateway that runs.
#[test]
fn the_document_lists_every_bound() {
    let source = include_str!("../serve/sources.rs");
    let words = source.split('"').skip(1).step_by(2);
    let others = ["opened", "reused", "up", "down"];
    let mut bounds: BTreeSet<&str> = words
        .filter(|word| !word.is_empty() && !others.contains(word))
        .collect();
    for (word, source) in [
        ("access-log", include_str!("../access_log.rs")),
        ("admin-connections", include_str!("../admin.rs")),
    ] {
        assert!(source.contains(&format!("\"{word}\"")), "{word}");
        bounds.insert(word);
    }
    assert_eq!(documented("`bound`"), bounds);
}

fn row(described: &Described) -> String {
    let Described {
        name,
        kind,
        unit,
        labels,
        help,
    } = described;
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let or_dash = |text: &str| {
        if text.is_empty() {
            "–".to_owned()
        } else {
            text.to_owned()
        }
    };
    let (unit, labels) = (or_dash(unit), or_dash(&labels.join(", ")));
    format!(
        "| `{name}` | {} | {unit} | {labels} | {help}. |",
        kind.as_str()
    )
}
