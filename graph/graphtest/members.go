package graphtest

// memberships are who belongs to which group.
type memberships struct{}
