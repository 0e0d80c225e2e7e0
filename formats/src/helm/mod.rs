//! Helm charts.

pub mod chart;
