// Package faultfs is a file system that loses what was not synced, fails, is slow,
// lies and fills up when it is told to. It is mounted over a member's data
// directory by FUSE and keeps everything in another directory; it needs root and
// /dev/fuse.
//
// # What a crash loses
//
// FS.Crash takes away what POSIX lets a power failure take away:
//
//   - Of a file, what was written, or cut off, since the last fsync or fdatasync of it
//     that was successful and began after it. Content and size are synced alone: the
//     entry of a new file in its directory is not synced with them, although ext4,
//     XFS and Btrfs do so.
//   - Of a directory, the entries that were made, renamed or removed since the last
//     fsync of the directory. What an earlier change did is never lost if a later
//     one in the same directory is kept, as a journal has it. A rename from one directory to
//     another is one change to both, so a file is never in neither.
//   - Attributes such as modes and times are kept: nobody here rests on them.
//
// Loss says how much of it is lost: all, or by a seed pages of 4 KiB of each file, its
// size, and the last changes of each directory. A page is never torn: it holds all
// that was written into it or what was synced. Pages that were appended may
// be lost while later ones are kept, and are zeros then.
//
// Pebble's own crash tests assume no less (vfs.MemFS.CrashClone): whatever was not
// synced, entries of directories too, may be gone, independently of each other.
// Neither Pebble nor bbolt, which both sync the directory of a file they made
// only if they need it after a crash, may rest on more than the model gives.
//
// An fsync that fails leaves the data unsynced, and one that is successful later
// covers it. (Linux may drop it there and then; that is not modelled.)
//
// # The process
//
// The file system runs in the process that mounts it. It ends with it: whoever uses
// it gets errors from then on, and the mount stays behind, named after the process,
// until RemoveAbandoned finds it. The process itself must not map files of it
// into memory: a page fault holds up the collector, which holds up the answer.
//
// A process that is started in a mount namespace of its own, as ip netns exec does,
// sees the file system if it was mounted before, and keeps it busy while it lives.
package faultfs
