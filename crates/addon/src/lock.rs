use crate::error::{Result, error};
use napi_derive::napi;
use std::fs::{File, OpenOptions, TryLockError, read_to_string};
use std::io::{self, ErrorKind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, SystemTime};

/// A lock on a file, until it is released or the process ends, however it ends
#[napi]
pub struct FileLock {
    file: Option<File>,
    /// Whether the file system has such locks: without them it holds nobody off
    pub is_held: bool,
}

/// Takes a lock on a file, which is made if it is missing; null if another holds it. `shared`: beside others that share
/// it
#[napi(catch_unwind)]
pub fn lock_file(path: String, shared: Option<bool>) -> Result<Option<FileLock>> {
    let refuse = |e: io::Error| error("IO_ERROR", format!("{path}: can't lock it: {e}"));
    OpenOptions::new().create(true).append(true).open(&path).map_err(refuse)?;
    // Held for reading: a file held for writing would keep its disk from being made read-only.
    let mut file = File::open(&path).map_err(refuse)?;
    let mut answer = try_lock(&file, shared == Some(true));
    if matches!(&answer, Err(TryLockError::Error(e)) if e.raw_os_error() == Some(EBADF)) {
        // NFS makes it a lock on bytes, which needs the right to write them.
        file = OpenOptions::new().append(true).open(&path).map_err(refuse)?;
        answer = try_lock(&file, shared == Some(true));
    }
    match answer {
        Ok(()) => Ok(Some(FileLock { file: Some(file), is_held: true })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) if is_missing(&e) => Ok(Some(FileLock { file: None, is_held: false })),
        Err(TryLockError::Error(e)) => Err(refuse(e)),
    }
}

const EBADF: i32 = 9;
const ENOLCK: i32 = 37;

fn try_lock(file: &File, shared: bool) -> std::result::Result<(), TryLockError> {
    if shared { file.try_lock_shared() } else { file.try_lock() }
}

/// Whether the file system has no locks
fn is_missing(e: &io::Error) -> bool {
    e.kind() == ErrorKind::Unsupported || (cfg!(target_os = "linux") && e.raw_os_error() == Some(ENOLCK))
}

#[napi]
impl FileLock {
    /// Lets it go
    #[napi(catch_unwind)]
    pub fn release(&mut self) {
        self.file = None;
    }
}

/// Shows other hosts that the owner of a file lives, until it is stopped
#[napi]
pub struct Heartbeat {
    stop: Option<Sender<()>>,
    lost: Arc<AtomicBool>,
}

/// Sets a file's time of change every so many milliseconds while its content is `text`, whatever the event loop does
#[napi(catch_unwind)]
pub fn keep_fresh(path: String, text: String, every_ms: u32) -> Result<Heartbeat> {
    let (stop, stopped) = channel();
    let lost = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&lost);
    let every = Duration::from_millis(u64::from(every_ms));
    let beat = move || {
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            if is_another(&path, &text) {
                // It goes on: one who was refused elsewhere gives back what it took.
                flag.store(true, Ordering::Relaxed);
                continue;
            }
            // A server that is away for a while ends no run: the next beat tells.
            let _ = OpenOptions::new().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        }
    };
    let thread = std::thread::Builder::new().name("heartbeat".into()).spawn(beat);
    thread.map_err(|e| error("IO_ERROR", format!("heartbeat: {e}")))?;
    Ok(Heartbeat { stop: Some(stop), lost })
}

/// Whether a file is gone or has another content
fn is_another(path: &str, text: &str) -> bool {
    match read_to_string(path) {
        Ok(found) => found != text,
        Err(e) => e.kind() == ErrorKind::NotFound,
    }
}

#[napi]
impl Heartbeat {
    /// Whether another has taken the file, or removed it, for ever or for a while
    #[napi(getter)]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends it
    #[napi(catch_unwind)]
    pub fn stop(&mut self) {
        self.stop = None;
    }
}
