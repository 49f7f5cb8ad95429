//! A queue of slots in blocks, so that a long one neither copies itself to grow nor keeps its memory.

use std::collections::VecDeque;

/// Slots of a block: 4 KiB.
const BLOCK: usize = 1024;

/// First in, first out.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    blocks: VecDeque<Vec<u32>>,
    /// How many were taken from the first block.
    taken: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, slot: u32) {
        match self.blocks.back_mut().filter(|b| b.len() < BLOCK) {
            Some(block) => block.push(slot),
            None => {
                // The only block of a short queue grows as it is filled.
                let capacity = if self.blocks.is_empty() { 4 } else { BLOCK };
                let mut block = Vec::with_capacity(capacity);
                block.push(slot);
                self.blocks.push_back(block);
            }
        }
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        let first = self.blocks.front_mut()?;
        let slot = first.get(self.taken).copied()?;
        self.taken += 1;
        if self.taken == first.len() {
            self.taken = 0;
            // The last block is used again: most queues are short and drained often.
            if self.blocks.len() == 1 {
                if let Some(block) = self.blocks.front_mut() {
                    block.clear();
                }
                self.blocks.shrink_to(BLOCK / 16);
            } else {
                self.blocks.pop_front();
            }
        }
        Some(slot)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.front().is_none_or(Vec::is_empty)
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        let slots: usize = self.blocks.iter().map(|b| b.capacity() * size_of::<u32>()).sum();
        slots + self.blocks.capacity() * size_of::<Vec<u32>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let (mut queue, mut model) = (Queue::default(), VecDeque::new());
        let mut n = 0;
        for (pushed, popped) in [(3, 5), (5000, 1000), (2000, 5900), (1024, 1024), (1, 200), (3000, 4000)] {
            for _ in 0..pushed {
                n += 1;
                queue.push(n);
                model.push_back(n);
            }
            for _ in 0..popped {
                assert_eq!(queue.pop(), model.pop_front());
                assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
        assert!(queue.is_empty() && queue.allocated() < 8192, "a block is kept");
    }
}
