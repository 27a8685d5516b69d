//! What is made on top of cards: bonds and VLANs. They have names of our own choice, since they don't exist
//! before networkd makes them; the cards below them are still found by their MAC addresses.

use serde::{Deserialize, Serialize};

use super::{Interface, Mac};

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// A card, or what a hypervisor makes look like one.
    #[default]
    Card,
    /// Several cards as one.
    Bond(Bond),
    /// A tagged network on another interface.
    Vlan(Vlan),
}

impl Kind {
    /// Whether this is a card.
    pub fn is_card(&self) -> bool {
        *self == Kind::Card
    }

    /// The name that we give it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Kind::Card => None,
            Kind::Bond(bond) => Some(&bond.name),
            Kind::Vlan(vlan) => Some(&vlan.name),
        }
    }
}

/// A bond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond {
    /// Its name.
    pub name: String,
    /// Its cards.
    pub members: Vec<Mac>,
    /// How it spreads packets, one of [`Bond::MODES`].
    pub mode: String,
    /// Milliseconds between looks at the members' carriers.
    pub miimon: Option<u32>,
    /// What decides over which member a packet goes, one of [`Bond::POLICIES`].
    pub policy: Option<String>,
}

impl Bond {
    /// All modes, in the kernel's order: some documents have the number.
    pub const MODES: [&str; 7] =
        ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];

    /// All policies.
    pub const POLICIES: [&str; 5] = ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"];

    /// A mode by its name or number.
    pub fn mode(text: &str) -> Option<&'static str> {
        let at = text.parse().ok().or_else(|| Bond::MODES.iter().position(|m| *m == text))?;
        Bond::MODES.get(at).copied()
    }
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    /// Its name.
    pub name: String,
    /// Its tag.
    pub id: u16,
    /// What it is on.
    pub on: Parent,
}

impl Vlan {
    /// A tag, when it is one.
    pub fn id(text: &str) -> Option<u16> {
        text.parse().ok().filter(|id| (1..=4094).contains(id))
    }
}

/// What a VLAN is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// A card.
    Card(Mac),
    /// A bond, by the name that we gave it.
    Bond(String),
}

/// A bond as a document describes it; members are names in that document.
pub(super) struct WantedBond<'a> {
    pub(super) members: Vec<&'a str>,
    pub(super) mac: Option<&'a str>,
    pub(super) mode: Option<&'a str>,
    pub(super) miimon: Option<&'a str>,
    pub(super) policy: Option<&'a str>,
}

/// Makes a bond of cards that have been found by their names in the document. What can't be done becomes a
/// note about `what`.
pub(super) fn bond(
    wanted: &WantedBond<'_>,
    found: &[(String, Interface)],
    what: &str,
    notes: &mut Vec<String>,
) -> Option<Interface> {
    let mut members: Vec<Mac> = Vec::new();
    for member in &wanted.members {
        match found.iter().find(|(name, i)| name == member && i.kind.is_card()) {
            Some((_, card)) => members.push(card.mac),
            None => notes.push(format!("{what}: member `{member}` is left out: there is no such card")),
        }
    }
    let mac = wanted.mac.and_then(|m| m.parse().ok()).or(members.first().copied());
    let Some(mac) = mac.filter(|_| !members.is_empty()) else {
        notes.push(format!("{what} is left out: it is a bond without members"));
        return None;
    };
    let Some(mode) = Bond::mode(wanted.mode.unwrap_or("balance-rr")) else {
        notes.push(format!("{what} is left out: it is a bond with a mode that isn't known"));
        return None;
    };
    let number = found.iter().filter(|(_, i)| matches!(i.kind, Kind::Bond(_))).count();
    let policy = wanted.policy.filter(|p| Bond::POLICIES.contains(p));
    let mut interface = Interface::new(mac);
    interface.kind = Kind::Bond(Bond {
        name: format!("bond{number}"),
        members,
        mode: mode.to_owned(),
        miimon: wanted.miimon.and_then(|m| m.parse().ok()),
        policy: policy.map(str::to_owned),
    });
    Some(interface)
}

/// A VLAN as a document describes it.
pub(super) struct WantedVlan<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) on: Option<&'a str>,
    pub(super) mac: Option<&'a str>,
}

/// Makes a VLAN on what has been found by its name in the document. What can't be done becomes a note about
/// `what`.
pub(super) fn vlan(
    wanted: &WantedVlan<'_>,
    found: &[(String, Interface)],
    what: &str,
    notes: &mut Vec<String>,
) -> Option<Interface> {
    let Some(id) = wanted.id.and_then(Vlan::id) else {
        notes.push(format!("{what} is left out: a VLAN's number is one from 1 to 4094"));
        return None;
    };
    let below = wanted.on.unwrap_or_default();
    let parent = found.iter().find(|(name, _)| name == below).map(|(_, parent)| parent);
    let on = match parent.map(|parent| &parent.kind) {
        Some(Kind::Card) => parent.map(|parent| Parent::Card(parent.mac)),
        Some(Kind::Bond(bond)) => Some(Parent::Bond(bond.name.clone())),
        Some(Kind::Vlan(_)) | None => None,
    };
    let (Some(on), Some(parent)) = (on, parent) else {
        notes.push(format!("{what} is left out: it is a VLAN on `{below}`, which isn't a card or bond"));
        return None;
    };
    let mut interface = Interface::new(wanted.mac.and_then(|m| m.parse().ok()).unwrap_or(parent.mac));
    let same = found.iter().filter(|(_, i)| matches!(&i.kind, Kind::Vlan(v) if v.id == id)).count();
    let name = if same == 0 { format!("vlan{id}") } else { format!("vlan{id}-{same}") };
    interface.kind = Kind::Vlan(Vlan { name, id, on });
    Some(interface)
}
