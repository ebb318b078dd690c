//! How the allocator is to keep memory.
//!
//! glibc maps large buffers on their own and gives them back when they are freed, but what counts as large grows with each that is freed, up to 32 MiB. A run reads, sorts and sends buffers of mebibytes; they then lie
//! in the arenas of the threads, between rows that stay, and are not given back. Of a run with 285,000 rows 110 MB were in use and 259 MB resident; with what is large fixed at 128 KiB it is 107 MB. mimalloc took as
//! much as glibc does by itself. Fixing it takes a setting that the process must begin with.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Re-executes the process, under the same process id, with these settings in its environment, unless it has some. The run continues without them when that fails.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn settle() {
    use std::os::unix::process::CommandExt;
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut args = std::env::args_os();
    let mut command = std::process::Command::new(program);
    command.arg0(args.next().unwrap_or_else(|| "helkflow".into())).args(args).envs(SETTINGS);
    let error = command.exec();
    tracing::debug!("memory is kept as the system does by itself: {error}");
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn settle() {}
