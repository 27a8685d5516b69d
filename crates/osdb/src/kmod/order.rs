//! In which order the dependencies of a module are listed.
//!
//! `modules.dep` names all modules that a module needs, directly or not, and modprobe loads them
//! from the last to the first. depmod sorts them by one topological order over all modules; the
//! same walk is made here so that the lists come out equal.

use std::collections::HashMap;

use super::Module;

/// Fills in [`Module::needs`] from [`Module::direct`]. Modules in dependency circles get no
/// dependencies and are nobody's. Lists of modules without direct dependencies stay as they are.
pub(super) fn resolve(modules: &mut [Module]) {
    if modules.iter().any(|m| m.direct.is_none()) {
        return;
    }
    let index: HashMap<&str, usize> = modules.iter().enumerate().map(|(i, m)| (m.name.as_str(), i)).collect();
    let direct: Vec<Vec<usize>> = modules
        .iter()
        .map(|m| m.direct.iter().flatten().filter_map(|n| index.get(n.as_str()).copied()).collect())
        .collect();
    let ranks = ranks(&direct);
    let all: Vec<Vec<String>> = (0..modules.len())
        .map(|at| {
            let mut needs = reach(at, &direct);
            needs.retain(|n| rank(&ranks, *n).is_some());
            needs.sort_by_key(|n| rank(&ranks, *n));
            needs.into_iter().filter_map(|n| modules.get(n)).map(|m| m.name.clone()).collect()
        })
        .collect();
    for ((module, needs), rank) in modules.iter_mut().zip(all).zip(ranks) {
        module.needs = if rank.is_some() { needs } else { Vec::new() };
    }
}

fn rank(ranks: &[Option<usize>], at: usize) -> Option<usize> {
    ranks.get(at).copied().flatten()
}

/// Positions in topological order, users before what they use; `None` within circles. Of several
/// candidates the one that became free last comes first.
fn ranks(direct: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut users = vec![0usize; direct.len()];
    for dep in direct.iter().flatten() {
        if let Some(count) = users.get_mut(*dep) {
            *count += 1;
        }
    }
    let mut free: Vec<usize> = users.iter().enumerate().filter(|(_, n)| **n == 0).map(|(i, _)| i).collect();
    let mut ranks = vec![None; direct.len()];
    let mut next = 0;
    while let Some(at) = free.pop() {
        if let Some(rank) = ranks.get_mut(at) {
            *rank = Some(next);
            next += 1;
        }
        for dep in direct.get(at).into_iter().flatten() {
            if let Some(count) = users.get_mut(*dep) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    free.push(*dep);
                }
            }
        }
    }
    ranks
}

/// All that `at` needs, without itself.
fn reach(at: usize, direct: &[Vec<usize>]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::from([at]);
    let mut todo = vec![at];
    while let Some(here) = todo.pop() {
        for dep in direct.get(here).into_iter().flatten() {
            if seen.insert(*dep) {
                found.push(*dep);
                todo.push(*dep);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_first_and_circles_are_left_out() {
        let module = |name: &str, direct: &[&str]| Module {
            name: name.into(),
            direct: Some(direct.iter().map(|d| d.to_string()).collect()),
            ..Module::default()
        };
        let mut modules = [
            module("a", &["c", "b"]),
            module("b", &["c"]),
            module("c", &[]),
            module("x", &["y"]),
            module("y", &["x", "c"]),
        ];
        resolve(&mut modules);
        assert_eq!(modules[0].needs, ["b"]);
        assert_eq!(modules[3].needs, [""; 0]);
        let mut modules = [module("a", &["c", "b"]), module("b", &["c"]), module("c", &[])];
        resolve(&mut modules);
        assert_eq!(modules[0].needs, ["b", "c"]);
    }
}
