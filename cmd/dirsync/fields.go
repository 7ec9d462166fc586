package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
)

// fieldView is one field as programs read it.
type fieldView struct {
	Name     string   `json:"name"`
	Label    string   `json:"label,omitempty"`
	Type     string   `json:"type"`
	Required bool     `json:"required,omitempty"`
	Unique   bool     `json:"unique,omitempty"`
	Options  []string `json:"options,omitempty"`
	Format   string   `json:"format,omitempty"`
	Length   int      `json:"length,omitempty"`
	Sample   string   `json:"sample,omitempty"`
	Refused  string   `json:"refused,omitempty"`
	Mapped   bool     `json:"mapped"`
}

// fieldsView is both sides of one sync.
type fieldsView struct {
	Sync   string      `json:"sync"`
	Source []fieldView `json:"source"`
	Target []fieldView `json:"target"`
}

func (a *app) fieldsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "fields [SYNC...]",
		Short: "List what can be mapped, and onto what",
		Long: `fields lists the properties of the source's users that can be mapped, with their types
and a sample value fresh from there, and the fields of the target with what they
demand, fresh from it where it is a tenant or an application: a tenant's directory
extensions among them. With --all the properties that cannot be mapped are listed too,
with the reason and what to use instead.

Exit codes: 0 listed; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync fields\n  dirsync fields staff --all -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			views := []fieldsView{}
			err := a.each(cmd.Context(), args, func(w *wired) error {
				v, err := fields(cmd.Context(), w, all || a.json())
				if err != nil {
					return err
				}
				views = append(views, v)
				if a.json() {
					return nil
				}
				return a.printFields(v)
			})
			if a.json() && len(views) > 0 {
				if err := writeJSON(a.stdout, map[string]any{"syncs": views}); err != nil {
					return err
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also list properties that cannot be mapped")
	return cmd
}

func fields(ctx context.Context, w *wired, all bool) (fieldsView, error) {
	v := fieldsView{Sync: w.name}
	source, err := w.engine.Source.Fields(ctx)
	if err != nil {
		return v, fmt.Errorf("list the source's fields: %w", err)
	}
	target, err := w.engine.Target.Fields(ctx)
	if err != nil {
		return v, fmt.Errorf("list the target's fields: %w", err)
	}
	samples, err := sampleValues(ctx, w, source)
	if err != nil {
		return v, err
	}
	reads, mapped := map[string]bool{}, map[string]bool{}
	for _, f := range w.config.Fields {
		mapped[f.Field] = true
	}
	for _, p := range w.mapping.Properties() {
		reads[p] = true
	}
	for _, f := range source {
		if f.Refused != "" && !all {
			continue
		}
		outer, _, _ := strings.Cut(f.Name, "/")
		fv := viewField(f)
		fv.Sample, fv.Mapped = samples[f.Name], reads[outer]
		v.Source = append(v.Source, fv)
	}
	for _, f := range target {
		if f.Refused != "" && !all {
			continue
		}
		fv := viewField(f)
		fv.Mapped = mapped[f.Name]
		v.Target = append(v.Target, fv)
	}
	return v, nil
}

func viewField(f dirsync.Field) fieldView {
	return fieldView{Name: f.Name, Label: f.Label, Type: string(f.Type), Required: f.Required, Unique: f.Unique,
		Options: f.Options, Format: f.Format, Length: f.MaxLength, Refused: f.Refused}
}

// sampleValues asks the tenant for its first people with all their properties, and keeps one value of each.
func sampleValues(ctx context.Context, w *wired, fields []dirsync.Field) (map[string]string, error) {
	var names []string
	for _, f := range fields {
		if f.Refused == "" {
			names = append(names, f.Name)
		}
	}
	samples := map[string]string{}
	pages := 0
	everyone := *w.config
	everyone.From.Users.Groups = nil
	people, err := w.from.source(&everyone, names)
	if err != nil {
		return nil, err
	}
	err = people.Read(ctx, "", func(p dirsync.Page) error {
		for _, r := range p.Records {
			for _, name := range names {
				if samples[name] == "" {
					samples[name] = sampleValue(r.Attrs, name)
				}
			}
		}
		if pages++; pages == 5 {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("read sample values: %w", err)
	}
	return samples, nil
}

// sampleValue is one value for people, or "".
func sampleValue(attrs dirsync.Attributes, name string) string {
	outer, inner, nested := strings.Cut(name, "/")
	raw, ok := attrs.Get(outer)
	if !ok {
		return ""
	}
	if nested {
		raw = member(raw, inner)
	}
	switch s := string(raw); s {
	case "", "null", "[]", `""`:
		return ""
	default:
		const longest = 40
		s = strings.Trim(s, `"`)
		if r := []rune(s); len(r) > longest {
			return string(r[:longest-1]) + "…"
		}
		return s
	}
}

// member returns one member of a JSON object, or nothing.
func member(raw json.RawMessage, name string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	return object[name]
}

func (a *app) printFields(v fieldsView) error {
	a.printf("%s: what the source has\n\n", clean(v.Sync))
	t := NewTable(a.style, "PROPERTY", "LABEL", "TYPE", "MAPPED", "SAMPLE")
	for _, f := range v.Source {
		sample := any(f.Sample)
		if f.Refused != "" {
			sample = painted{faint, "cannot be mapped: " + f.Refused}
		}
		t.Row(f.Name, f.Label, f.Type, yesNo(f.Mapped), sample)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	a.printf("\n%s: what the target takes\n\n", clean(v.Sync))
	t = NewTable(a.style, "FIELD", "LABEL", "TYPE", "MAPPED", "DEMANDS")
	for _, f := range v.Target {
		what := any(demands(f))
		if f.Refused != "" {
			what = painted{faint, "cannot be written: " + f.Refused}
		}
		t.Row(f.Name, f.Label, f.Type, yesNo(f.Mapped), what)
	}
	return t.Write(a.stdout)
}

// demands says what a field asks of its values.
func demands(f fieldView) string {
	var d []string
	if f.Required {
		d = append(d, "required")
	}
	if f.Unique {
		d = append(d, "unique")
	}
	if len(f.Options) > 0 {
		d = append(d, "one of "+strings.Join(f.Options, ", "))
	}
	if f.Format != "" {
		d = append(d, f.Format)
	}
	if f.Length > 0 {
		d = append(d, "at most "+counted(f.Length, "character", "characters"))
	}
	return strings.Join(d, "; ")
}
