//! The slots of a disk: what each holds, which one runs, and which one an update may write.

use twinhull_disk::slot;
use twinhull_disk::table::Partition;
use twinhull_disk::types::{self, Arch};
use twinhull_fsimg::ReadAt;
use twinhull_fsimg::verity::{self, RootHash};

use crate::device::Range;
use crate::{Device, Error, Gpt, Result, error, name};

/// What is in a slot, as its labels and UUIDs say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Free.
    Empty,
    /// A version of the image.
    Filled {
        /// The version.
        version: String,
        /// The root hash that the partition UUIDs stand for.
        root: RootHash,
    },
    /// Labels that don't belong together, or another image's.
    Broken(String),
}

/// A slot: the partition with `/usr`, and the one with its hash tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// `/usr`.
    pub data: Partition,
    /// The hash tree.
    pub tree: Partition,
    /// What is in it.
    pub state: State,
}

impl Slot {
    fn new(data: Partition, tree: Partition, id: &str) -> Self {
        let version = name::version_of(&data.label, id);
        let state = match version {
            Some(version) if tree.label == slot::verity_label(id, version) => {
                State::Filled { version: version.to_owned(), root: slot::root_hash(data.uuid, tree.uuid) }
            }
            _ if data.label == slot::EMPTY && tree.label == slot::EMPTY => State::Empty,
            _ => State::Broken(format!(
                "partitions {} and {} have the labels {:?} and {:?}",
                data.number, tree.number, data.label, tree.label
            )),
        };
        Slot { data, tree, state }
    }

    /// The version, when it is filled.
    pub fn version(&self) -> Option<&str> {
        match &self.state {
            State::Filled { version, .. } => Some(version),
            _ => None,
        }
    }

    /// Reads the slot and checks every block against the root hash that its UUIDs stand for. Returns the data's length
    /// in bytes.
    ///
    /// Returns [`Error::NotVerified`].
    pub fn verify(&self, device: &(impl Device + ?Sized)) -> Result<u64> {
        self.verify_as(device, &slot::root_hash(self.data.uuid, self.tree.uuid))
    }

    /// As [`Slot::verify`], for a root hash that the UUIDs don't have yet.
    pub(crate) fn verify_as(&self, device: &(impl Device + ?Sized), root: &RootHash) -> Result<u64> {
        let part = |p: &Partition| Range { device, offset: p.offset, len: p.size };
        match verity::check(&part(&self.data), &part(&self.tree), root) {
            Err(twinhull_fsimg::Error::Io(e)) => Err(error::disk("the slot", "read")(e)),
            result => Ok(result?),
        }
    }

    /// The partition with `/usr`, to read from: an update takes from the running slot what hasn't changed.
    pub fn data_of<'d, D: Device + ?Sized>(&self, device: &'d D) -> impl ReadAt + use<'d, D> {
        Range { device, offset: self.data.offset, len: self.data.size }
    }

    /// Refuses an image that is larger than the slot.
    ///
    /// Returns [`Error::TooSmall`].
    pub fn check_room(&self, data_len: u64) -> Result<()> {
        for (what, size, part) in
            [("usr", data_len, &self.data), ("usr-verity", verity::tree_len(data_len), &self.tree)]
        {
            if size > part.size {
                return Err(Error::TooSmall { what, size, room: part.size });
            }
        }
        Ok(())
    }
}

/// All slots of a disk.
#[derive(Debug, Clone)]
pub struct Slots {
    slots: Vec<Slot>,
    /// Every partition of the disk.
    all: Vec<Partition>,
}

impl Slots {
    /// Finds the slots for an architecture: the first partition of type usr and the first of type usr-verity are slot
    /// A, the second ones slot B. `id` is the image's name.
    ///
    /// Returns [`Error::NoSlots`] for partitions that aren't pairs, or that share blocks with others, and
    /// [`Error::BadName`].
    pub fn new(gpt: &Gpt, arch: Arch, id: &str) -> Result<Self> {
        name::check_id(id)?;
        let all = gpt.partitions();
        let of = |kind| all.iter().filter(move |p: &&Partition| p.kind == kind).cloned();
        let (data, trees): (Vec<_>, Vec<_>) =
            (of(types::usr(arch)).collect(), of(types::usr_verity(arch)).collect());
        if data.is_empty() || data.len() != trees.len() {
            let (n, m) = (data.len(), trees.len());
            let arch = arch.name();
            return Err(Error::NoSlots(format!(
                "there are {n} usr and {m} usr-verity partitions for {arch}"
            )));
        }
        let mut by_place: Vec<&Partition> = all.iter().collect();
        by_place.sort_by_key(|p| p.offset);
        if let Some(pair) = by_place.windows(2).find(|pair| pair[0].offset + pair[0].size > pair[1].offset) {
            let (a, b) = (pair[0].number, pair[1].number);
            return Err(Error::NoSlots(format!("partitions {a} and {b} overlap")));
        }
        let slots = data.into_iter().zip(trees).map(|(data, tree)| Slot::new(data, tree, id)).collect();
        Ok(Slots { slots, all })
    }

    /// Reads the table and finds the slots, see [`Gpt::read`] and [`Slots::new`].
    pub fn read(device: &(impl Device + ?Sized), arch: Arch, id: &str) -> Result<Self> {
        Slots::new(&Gpt::read(device)?, arch, id)
    }

    /// All slots, A first.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// Every partition of the disk.
    pub(crate) fn partitions(&self) -> &[Partition] {
        &self.all
    }

    /// The slot that the machine runs from; `root` is what `usrhash=` on its command line says.
    ///
    /// Returns [`Error::NotRunning`], [`Error::Twice`] when a UUID is there twice, and [`Error::Unlabelled`].
    pub fn running(&self, root: &RootHash) -> Result<&Slot> {
        let (data, tree) = slot::uuids(root);
        let mut found = self.slots.iter().filter(|slot| slot.data.uuid == data && slot.tree.uuid == tree);
        let Some(running) = found.next() else {
            return Err(Error::NotRunning { root: root.iter().map(|b| format!("{b:02x}")).collect() });
        };
        let ours = [running.data.number, running.tree.number];
        let other = |p: &&Partition| !ours.contains(&p.number) && (p.uuid == data || p.uuid == tree);
        if let Some(other) = self.all.iter().find(other) {
            let own = if other.uuid == data { ours[0] } else { ours[1] };
            return Err(Error::Twice(own, other.number));
        }
        match &running.state {
            State::Broken(labels) => Err(Error::Unlabelled(labels.clone())),
            State::Empty => Err(Error::Unlabelled(format!("both are {}", slot::EMPTY))),
            State::Filled { .. } => Ok(running),
        }
    }

    /// The slot that an update to `version` may write: never the running one. The one that has this version already,
    /// as after an update that was interrupted, rather than a free one, and that rather than one with another version.
    ///
    /// `blessed` says whether the running version has proved to be good; before that, the other slot is what the
    /// machine would fall back to. Returns [`Error::NotBlessed`], [`Error::NoTarget`] and the errors of
    /// [`Slots::running`].
    pub fn target(&self, running: &RootHash, blessed: bool, version: &str) -> Result<&Slot> {
        let running = self.running(running)?;
        if !blessed {
            let version = running.version().unwrap_or_default().to_owned();
            return Err(Error::NotBlessed { version });
        }
        let others = self.slots.iter().filter(|slot| slot.data.number != running.data.number);
        let rank = |slot: &&Slot| match slot.version() {
            Some(found) if name::same_version(found, version) => 0,
            None => 1,
            Some(_) => 2,
        };
        others.min_by_key(rank).ok_or(Error::NoTarget)
    }
}
