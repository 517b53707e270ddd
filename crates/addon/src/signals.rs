use napi::bindgen_prelude::{Function, Result};
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;
use napi_derive::napi;
use std::io;
use std::time::Duration;

/// Calls `on_second` at a second SIGINT or SIGTERM, and ends the process `grace_ms` later, whatever its event loop
/// does. One within `window_ms` of the first is the same key press. Handlers that are there stay, and are called first.
/// False where none of this will happen: elsewhere than on Unix, or if there is no thread for it
#[napi(catch_unwind)]
pub fn end_at_second_signal(
    on_second: Function<(), ()>,
    exit_code: i32,
    window_ms: u32,
    grace_ms: u32,
) -> Result<bool> {
    let on_second = on_second.build_threadsafe_function::<()>().weak::<true>().build()?;
    let [window, grace] = [window_ms, grace_ms].map(|ms| Duration::from_millis(ms.into()));
    Ok(watch(exit_code, window, grace, move || _ = on_second.call((), NonBlocking)).is_ok())
}

#[cfg(unix)]
fn watch(exit_code: i32, window: Duration, grace: Duration, on_second: impl Fn() + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{iterator::Signals, low_level};
    use std::{thread, time::Instant};

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    [SIGINT, SIGTERM].into_iter().try_for_each(uninterrupted)?;
    let end = move || {
        let mut times = signals.forever().map(|_| Instant::now());
        let first = times.next();
        if times.any(|time| first.is_some_and(|first| time - first > window)) {
            on_second();
            thread::sleep(grace);
            low_level::exit(exit_code);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(end).map(drop)
}

/// Lets no other signal interrupt this one's handler. It calls libuv's, which waits for a lock that the interrupted one
/// would hold; libuv installs its own in the same way
#[cfg(unix)]
fn uninterrupted(signal: i32) -> io::Result<()> {
    use std::{mem, ptr};

    // SAFETY: zeros are a valid sigaction; the handler stays the one that is installed.
    let is_set = unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, ptr::null(), &mut action) == 0
            && libc::sigfillset(&mut action.sa_mask) == 0
            && libc::sigaction(signal, &action, ptr::null_mut()) == 0
    };
    if is_set { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(unix))]
fn watch(_: i32, _: Duration, _: Duration, _: impl Fn()) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
