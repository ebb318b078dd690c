//! The progress bar: bytes of the files, events, what else there is to tell, and how long it will
//! take.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::connect::files::Seen;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// A bar that moves until it is dropped.
pub struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Draws on standard error what `bytes` (all, read), `seen` and `more` say.
    pub fn start(
        bytes: impl Fn() -> (u64, u64) + Send + 'static,
        seen: Arc<Seen>,
        more: impl Fn() -> Option<String> + Send + 'static,
    ) -> Progress {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let (total, _) = bytes();
            // Pipes have no size.
            let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
            let template = if total == 0 {
                "{spinner} {elapsed}  {msg}"
            } else {
                "{wide_bar} {binary_bytes} of {binary_total_bytes}  {msg}  {eta} left"
            };
            bar.set_style(
                ProgressStyle::with_template(template).expect("the template is well-formed"),
            );
            let start = Instant::now();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let records = seen.records.load(Ordering::Relaxed);
                let rate = records as f64 / start.elapsed().as_secs_f64();
                let more = more().map_or_else(String::new, |more| format!(", {more}"));
                bar.set_message(format!(
                    "{} events, {}/s{more}",
                    HumanCount(records),
                    HumanCount(rate as u64)
                ));
                bar.set_position(bytes().1);
                bar.tick();
            }
            bar.finish_and_clear();
        });
        Progress { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A bar that could not be drawn is no reason to fail.
            let _ = thread.join();
        }
    }
}
