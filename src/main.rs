//! The command: hands the arguments to the library and its exit code to the system.

use heapattach::cli;
use heapattach::target::huge_pages::HugePages;
use std::process::ExitCode;

/// Columns of millions of objects are on huge pages.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    cli::main(&cli::Backend { inspect: &cli::inspect, examine: &cli::examine })
}
