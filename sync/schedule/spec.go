package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/robfig/cron/v3"
)

// spec has robfig/cron's parser read an expression: five fields, each checked by cronField, or a descriptor in lower case
// that it knows. The expression must not name a zone. at is where a fault is shown.
//
// Of the library only the parser is used, and only what has been checked gets there, because by itself it
//
//   - panics on a zone without anything after it (TZ=UTC), and takes the machine's zone where none is named;
//   - takes "*-5" for "*", skips nothing between two commas, "?" anywhere and "+5", and does not know 7 for Sunday;
//   - makes "@every 1s" of "@every 0s" and "@every -1h".
//
// What it finds are sets of numbers. When they come true is the business of Next: the library's own leaves a whole week
// out if the time is in the gap of spring, runs twice in autumn, and has no answer for 30 February.
func (r *reader) spec(at token, expression string) (Schedule, error) {
	s, err := parseSpec(expression)
	if err != nil {
		return Schedule{}, r.fail(at, fmt.Sprintf("this cron expression cannot be read: %.100s", err), "write, for example, 0 2 * * sun")
	}
	return s, nil
}

// parseSpec is spec without a place for faults. Whatever is handed to it, it does not panic.
func parseSpec(expression string) (s Schedule, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			s, err = Schedule{}, fmt.Errorf("the parser gave up: %v", fault)
		}
	}()
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	parsed, err := parser.Parse(expression)
	if err != nil {
		return Schedule{}, err
	}
	switch parsed := parsed.(type) {
	case *cron.SpecSchedule:
		return fromSets(parsed)
	case cron.ConstantDelaySchedule:
		return Every(parsed.Delay)
	}
	return Schedule{}, fmt.Errorf("the parser returned a %T", parsed)
}

// fromSets makes a schedule of the sets of numbers that the parser found.
func fromSets(spec *cron.SpecSchedule) (Schedule, error) {
	// The parser marks a field with a "*", or a "?", that restricts nothing.
	const star uint64 = 1 << 63
	if spec.Location != time.Local {
		return Schedule{}, errors.New("a zone was named in the expression") // sets without their zone would be other times
	}
	s := Schedule{kind: wall, days: days{
		months:   uint16(spec.Month & allMonths),
		monthday: uint32(spec.Dom & allMonthdays),
		weekday:  uint8(spec.Dow & allWeekdays),
		either:   (spec.Dom|spec.Dow)&star == 0,
	}}
	hours := spec.Hour &^ star
	for _, hour := range setOf(hours) {
		for _, minute := range setOf(spec.Minute &^ star) {
			s.times = append(s.times, uint16(hour*60+minute))
		}
	}
	if hours == 1<<24-1 {
		s.kind = shown
	}
	return s, nil
}

// setOf lists the numbers of a bit set.
func setOf(set uint64) []int {
	var out []int
	for ; set != 0; set &= set - 1 {
		out = append(out, bits.TrailingZeros64(set))
	}
	return out
}
