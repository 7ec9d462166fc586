// Package manifests holds what deploy/ says about Kubernetes to Kubernetes' own types and rules. It has tests only.
package manifests
