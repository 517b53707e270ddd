use napi_derive::napi;

/// Ends the process `grace_ms` after a second SIGINT or SIGTERM, whatever its event loop does; elsewhere than on Unix
/// nothing happens. Handlers that are there stay, and are called first. False where the system has no thread for it
#[napi(catch_unwind)]
pub fn end_at_second_signal(exit_code: i32, grace_ms: u32) -> bool {
    watch(exit_code, grace_ms).is_ok()
}

#[cfg(unix)]
fn watch(exit_code: i32, grace_ms: u32) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{iterator::Signals, low_level};
    use std::{thread, time::Duration};

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let end = move || {
        if signals.forever().nth(1).is_some() {
            thread::sleep(Duration::from_millis(u64::from(grace_ms)));
            low_level::exit(exit_code);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(end).map(drop)
}

#[cfg(not(unix))]
fn watch(_: i32, _: u32) -> std::io::Result<()> {
    Ok(())
}
