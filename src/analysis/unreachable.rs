//! Which of the objects that no root reaches the collector would free.
//!
//! What the collector does (`deduce_unreachable` in CPython's gc), on numbers: counts of references minus
//! those from within say what something else holds; what that leads to stays, the rest is garbage. Then
//! the garbage lets go of what it held.

/// An object that no root reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Its reference count.
    pub count: u64,
    /// Whether the collector has it on a list.
    pub is_tracked: bool,
    /// The candidates (by index) that the collector sees it refer to, once for each reference.
    pub visited: Vec<u32>,
    /// The candidates that it holds a reference to, once for each.
    pub held: Vec<u32>,
}

/// Whether each candidate would be freed. Cost: linear in candidates and references.
pub fn garbage(candidates: &[Candidate]) -> Vec<bool> {
    let mut freed = unreferenced_from_outside(candidates);
    let mut counts: Vec<u64> = candidates.iter().map(|candidate| candidate.count).collect();
    let mut pending: Vec<u32> = (0..candidates.len() as u32).filter(|&index| freed[index as usize]).collect();
    while let Some(index) = pending.pop() {
        let Some(candidate) = candidates.get(index as usize) else { continue };
        for &target in &candidate.held {
            let Some((count, freed)) = counts.get_mut(target as usize).zip(freed.get_mut(target as usize))
            else {
                continue;
            };
            *count = count.saturating_sub(1);
            if *count == 0 && !*freed {
                *freed = true;
                pending.push(target);
            }
        }
    }
    freed
}

/// The tracked candidates that only garbage refers to.
fn unreferenced_from_outside(candidates: &[Candidate]) -> Vec<bool> {
    let mut outside: Vec<u64> = candidates.iter().map(|candidate| candidate.count).collect();
    let tracked = || candidates.iter().filter(|candidate| candidate.is_tracked);
    for target in tracked().flat_map(|candidate| &candidate.visited) {
        if let Some(count) = outside.get_mut(*target as usize) {
            *count = count.saturating_sub(1);
        }
    }
    let mut is_garbage: Vec<bool> = candidates.iter().map(|candidate| candidate.is_tracked).collect();
    let mut pending: Vec<u32> = (0..candidates.len() as u32)
        .filter(|&index| is_garbage[index as usize] && outside[index as usize] > 0)
        .collect();
    for &index in &pending {
        is_garbage[index as usize] = false;
    }
    while let Some(index) = pending.pop() {
        for &target in &candidates[index as usize].visited {
            if let Some(flag) = is_garbage.get_mut(target as usize).filter(|flag| **flag) {
                *flag = false;
                pending.push(target);
            }
        }
    }
    is_garbage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(candidates: &[(u64, bool, &[u32])], expected: &[bool]) {
        let candidates: Vec<_> = candidates
            .iter()
            .map(|&(count, is_tracked, targets)| Candidate {
                count,
                is_tracked,
                visited: targets.to_vec(),
                held: targets.to_vec(),
            })
            .collect();
        assert_eq!(garbage(&candidates), expected);
    }

    #[test]
    fn a_cycle_that_nothing_holds_is_garbage_with_all_it_holds() {
        // 0 <-> 1, 1 -> 2, an atom that only they hold; 3 is held from outside and holds 4.
        check(
            &[(1, true, &[1]), (1, true, &[0, 2]), (1, false, &[]), (1, true, &[4]), (1, true, &[])],
            &[true, true, true, false, false],
        );
    }

    #[test]
    fn a_cycle_that_something_holds_stays() {
        check(&[(2, true, &[1]), (1, true, &[0, 2]), (1, false, &[])], &[false, false, false]);
        check(&[(1, true, &[1, 2]), (1, true, &[0]), (2, false, &[])], &[true, true, false]);
    }

    #[test]
    fn numbers_that_make_no_sense_do_no_harm() {
        check(&[(0, true, &[9, 0, 0]), (u64::MAX, true, &[1, 1])], &[true, false]);
    }
}
