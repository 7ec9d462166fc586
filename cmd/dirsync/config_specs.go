package main

import "dirsync/mapping"

// Specs returns the mappings in the words of package mapping, in the order of the file, each with the places of its
// parts, so that a fault within an expression points into the configuration.
func (ms FieldMappings) Specs() []mapping.Spec {
	specs := make([]mapping.Spec, len(ms))
	for i, m := range ms {
		specs[i] = mapping.Spec{
			Field: m.Field, From: m.From, Expr: m.Expr, Entra: m.Entra, Value: m.Value, Default: m.Default,
			WhenNull: m.WhenNull, SyncUpdates: m.SyncUpdates, Format: m.Format,
			Pos: mapping.Position(m.Pos), FromPos: mapping.Position(m.FromPos), ExprPos: mapping.Position(m.ExprPos),
			EntraPos: mapping.Position(m.EntraPos), ValuePos: mapping.Position(m.ValuePos),
			DefaultPos: mapping.Position(m.DefaultPos), WhenNullPos: mapping.Position(m.WhenNullPos),
			FormatPos: mapping.Position(m.FormatPos),
		}
	}
	return specs
}

// Expression returns the expression in the words of package mapping.
func (w WhereExpression) Expression() mapping.Expression {
	return mapping.Expression{Text: w.Text, Pos: mapping.Position(w.Pos)}
}
