//! The pure room: captures become facts, facts become findings, findings become a report.
//! No async, clock, environment, files, processes or printing here.
pub mod capture;
pub mod change;
pub mod chart;
pub mod checks;
pub mod cni;
pub mod code;
pub mod codes;
pub mod course;
pub mod facts;
pub mod finding;
pub mod gate;
pub mod history;
pub mod journal;
pub mod judge;
pub mod manifest;
pub mod plan;
pub mod report;
pub mod revision;
pub mod rollout;
pub mod selector;
pub mod text;
pub mod words;
