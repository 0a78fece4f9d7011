//! What is printed: vectors made by heapy itself, golden texts, the command line.

#[cfg(test)]
mod report {
    mod command;
    mod documents;
    mod fake;
    mod fake_memory;
    mod maps;
    mod python;
    mod vectors;
}
