//! How much memory a takeover needs: the image is in memory until it is written, and for moments more than once.
//!
//! While the installer's kernel is loaded, the image is in this program's file, in the kernel's copy of that, and where the
//! next kernel will find it. In that kernel it is there packed and unpacked until the archive is given back.

use super::Error;

/// The installer's kernel, with drivers and buffers.
const RUNNING: u64 = 192 << 20;
/// What is left to the old system while it goes down.
const SPARE: u64 = 64 << 20;

const MIB: u64 = 1 << 20;

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// All of it.
    pub(super) total: u64,
    /// What can be had.
    pub(super) available: u64,
}

impl Memory {
    /// From /proc/meminfo; `None` when that has no such lines.
    pub(super) fn parse(meminfo: &str) -> Option<Self> {
        let value = |name: &str| {
            let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Memory { total: value("MemTotal")?, available: value("MemAvailable")? })
    }

    /// What an image of `image` bytes needs, with an initrd that has `rest` bytes more.
    pub(super) fn needed(image: u64, rest: u64) -> Self {
        let initrd = image.saturating_add(rest);
        Memory {
            total: initrd.saturating_mul(2).saturating_add(RUNNING),
            available: initrd.saturating_mul(3).saturating_add(SPARE),
        }
    }

    /// Whether it is enough.
    ///
    /// Returns [`Error::Memory`] and [`Error::FreeMemory`].
    pub(super) fn check(self, image: u64, rest: u64) -> Result<(), Error> {
        let needed = Memory::needed(image, rest);
        let (up, down) = (|bytes: u64| bytes.div_ceil(MIB), |bytes: u64| bytes / MIB);
        if self.total < needed.total {
            return Err(Error::Memory { image: up(image), need: up(needed.total), found: down(self.total) });
        }
        if self.available < needed.available {
            return Err(Error::FreeMemory {
                image: up(image),
                need: up(needed.available),
                found: down(self.available),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_said_in_numbers() {
        let image = 89 * MIB;
        let rest = 30 * MIB;
        for (total, available, want) in [
            (2000, 1500, ""),
            (430, 421, ""),
            (
                429,
                421,
                "needs a machine with 430 MiB of memory, because it is unpacked from there; this one has 429 MiB",
            ),
            (430, 420, "needs 421 MiB of free memory until the machine restarts; 420 MiB are available"),
        ] {
            let said = Memory { total: total * MIB, available: available * MIB }.check(image, rest);
            let said = said.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains(want) && said.is_empty() == want.is_empty(), "{said}");
        }
        assert!(Memory { total: u64::MAX - 1, available: u64::MAX - 1 }.check(u64::MAX, 1).is_err());
    }

    #[test]
    fn the_kernels_words() {
        let text = "MemTotal:        2014524 kB\nMemFree:   100 kB\nMemAvailable:    1712368 kB\n";
        let want = Memory { total: 2_014_524 << 10, available: 1_712_368 << 10 };
        assert_eq!(Memory::parse(text), Some(want));
        for text in ["", "MemTotal: 5 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n"] {
            assert_eq!(Memory::parse(text), None, "{text}");
        }
    }
}
