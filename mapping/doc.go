// Package mapping turns a person's record at the source into the typed values of a user of the target.
//
// A mapping fills each field of the target from a property of the source, a constant, an expression of expr-lang or an
// expression in Microsoft Entra's own language; a scope says whom it concerns. Compile finds every mistake in it before
// anything is read or written: types that do not fit, expressions that cannot be understood, fields and properties that
// do not exist. Map then makes one person's values and finds everything that is wrong with that person's record.
// Trace shows how each value came about, and a Preview what becomes of a whole population. docs/mapping.md is the
// description for people, and its examples are run by a test.
//
// # Values
//
// Every value has one canonical form, as described at the types of package dirsync, so that another way of writing the
// same (letter case, Unicode form, surrounding space, a time zone, trailing zeros) never makes a change. Absent, null,
// empty text, blank text and an empty list are all no value. Text keeps its tabs and line ends and must not hold other
// control characters: they are refused, because to drop them would hide that the source is broken.
//
// What is checked here is the person's own record: type, format, options, length, and whether what is required is there.
// What needs other people is left to the caller: that a value is unique, and that the person whom a reference names
// exists. E-mail addresses keep the letter case of the part before the @, so that uniqueness must disregard it.
//
// # Purity
//
// Equal records give equal results, whenever and wherever they are mapped: no clock, no chance, no look-up. Functions of
// Entra's language that need one of these are refused by Compile, with the reason.
//
// # Hostility
//
// Neither an expression nor a record is trusted. An attribute may have 64 KiB of JSON and a list 1,000 entries; no text
// that is made may be longer than 64 KiB; an expression has at most 10,000 characters, no loop inside a loop, and a fixed
// number of steps of searching and joining for one person. Whatever is beyond is a fault of that person, and so is
// anything else that goes wrong. Nobody leaves the scope by a mistake: whoever cannot be told is in scope, with a fault.
package mapping
