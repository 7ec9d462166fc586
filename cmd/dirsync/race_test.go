//go:build race

package main

// raceDetector says that the memory of this binary says nothing.
const raceDetector = true
