// Package mapping turns a person's record at the source into the typed values of a user of the target: by direct
// mappings, constants and expressions, each checked before anything is written and again for every value.
package mapping
