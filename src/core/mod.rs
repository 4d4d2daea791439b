//! The pure room: captures become facts, facts become findings, findings become a report.
//! No async, clock, environment, files, processes or printing here.
pub mod capture;
pub mod code;
pub mod finding;
pub mod report;
pub mod text;
