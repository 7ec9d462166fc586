// Package schedule says when a sync runs: what people write (Parse), when that is (Schedule.Next), and what a daemon
// does about it as time passes (Clock, and Loop, which drives a Clock with real timers).
//
// # Slots
//
// A schedule is a row of slots: "weekly on sunday at 02:00" has one every Sunday. A slot happens at the first instant at
// which the wall clock of its zone shows the slot's time or a later one. That one rule settles every change of the
// clocks: a local time that is left out in spring runs at the first instant after the gap, one that comes twice in autumn
// runs the first time only, and no day or week is lost or doubled. Slots that fall on the same instant are one. A day that
// a zone left out altogether (Samoa had no 30 December 2011) follows the same rule, unless the schedule has slots on the
// day after it anyway: then nothing is made up for, so that a daily schedule runs once on every day that there was.
//
// Two forms do not count days, so they follow the clock differently. "hourly", and a cron expression whose hour is "*",
// run whenever the clock shows their minute: in an hour that comes twice they run twice, because people who ask for every
// hour do not want two hours of silence. "every 6 hours" is elapsed time, counted from 1970-01-01 00:00 UTC, in no zone
// at all: neither a restart nor a change of the clocks moves it.
//
// # Cron expressions
//
// Five fields and descriptors such as @weekly are read by the parser of github.com/robfig/cron/v3, behind checks that say
// where a fault is and what to write instead, and that refuse what the parser misunderstands. Nothing else of that library
// is used: the slots of a cron expression follow the rules above, as all slots do.
//
// # The clockwork
//
// Clock is pure: it takes a State, an event and the time, and returns the State to store and what to do. Whatever
// happens to the process or to the system's clock, it keeps these promises:
//
//   - A sync has at most one run at a time. What comes due meanwhile, and however often somebody asks, is one run
//     afterwards.
//   - Slots that passed unnoticed (the process was down, the machine slept, the clock was put forward) are made up for by
//     one run, or, by policy, left out. A slot that is noticed within Late is never left out.
//   - A slot whose run has ended never runs again, even if the clock is put back before it; and a clock that was wrong for
//     a while (in 2099, say) does not keep the slots from running that it had jumped over. To know this, State remembers
//     the slots that ran, as a few spans.
//   - A run that was cut off, because the process died or was stopped, begins again at the next start.
//   - Nothing scheduled begins in a blackout; it begins once, at the end. A run that is under way is not stopped.
//   - A run for a slot that failed for a reason that may pass is made again after growing pauses (Policy.Retry), until one
//     does not fail or the next slot comes. None of these begins in a blackout, and a restart forgets none.
//   - A person who asks for a run gets it at once, in a blackout too: they know better than the calendar. If a slot was
//     due, that run counts for it.
//
// The same machine drives applying and reading, each with a Clock and a State of its own; that two runs of one store do
// not overlap is then up to the caller.
//
// # Time zones
//
// Zones are looked up with time.LoadLocation. The command imports time/tzdata, so that they are there on systems and in
// containers without a zone database. Apart from that the package reads nothing, and takes time as a value; Loop alone
// asks what time it is and starts a goroutine.
//
// docs/schedules.md says the same for people who write configurations.
package schedule
