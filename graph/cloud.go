package graph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Cloud names one of Microsoft's clouds. Tenants, applications and tokens of one mean nothing in another (Microsoft
// document "Microsoft Entra authentication & national clouds").
type Cloud string

// The clouds. USGovL4 is GCC High and USGovL5 is DoD; they sign in at one address and have a Graph each. GCC is part of
// Global.
const (
	Global  Cloud = "global"
	USGovL4 Cloud = "us-gov-l4"
	USGovL5 Cloud = "us-gov-l5"
	China   Cloud = "china"
)

// The addresses of Microsoft's global cloud, which a Config means when it names none.
const (
	GlobalAuthority = "https://login.microsoftonline.com"
	GlobalBaseURL   = "https://graph.microsoft.com/v1.0"
)

// Clouds are all clouds by their names.
func Clouds() []Cloud { return []Cloud{Global, USGovL4, USGovL5, China} }

// cloudNames are all names of clouds, as they stand in a sentence.
func cloudNames() string {
	names := make([]string, 0, len(Clouds()))
	for _, cloud := range Clouds() {
		names = append(names, string(cloud))
	}
	return strings.Join(names, ", ")
}

// Addresses returns where a cloud's tokens come from, and the root of its Graph, as Config's Authority and BaseURL want
// them. The empty Cloud is Global; of a name that is none, both addresses are empty.
func (c Cloud) Addresses() (authority, baseURL string) {
	switch c {
	case Global, "":
		return GlobalAuthority, GlobalBaseURL
	case USGovL4:
		return "https://login.microsoftonline.us", "https://graph.microsoft.us/v1.0"
	case USGovL5:
		return "https://login.microsoftonline.us", "https://dod-graph.microsoft.us/v1.0"
	case China:
		return "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn/v1.0"
	}
	return "", ""
}

// check refuses a name that is no cloud, and an address that is known to be another cloud's. An address that is no
// cloud's at all is that of a private endpoint, a proxy or a simulation, and is left alone.
func (c Cloud) check(authority, baseURL string) []error {
	if own, _ := c.Addresses(); own == "" {
		return []error{fmt.Errorf("there is no cloud %q: the clouds are %s", string(c), cloudNames())}
	}
	if c == "" {
		c = Global
	}
	var faults []error
	if others := cloudsOf(authority, true); len(others) > 0 && !slices.Contains(others, c) {
		faults = append(faults, fmt.Errorf("the authority %s belongs to the cloud %s, but the cloud is %s: set the cloud, and leave the addresses out", authority, others[0], c))
	}
	if others := cloudsOf(baseURL, false); len(others) > 0 && !slices.Contains(others, c) {
		faults = append(faults, fmt.Errorf("the Graph address %s belongs to the cloud %s, but the cloud is %s: set the cloud, and leave the addresses out", baseURL, others[0], c))
	}
	return faults
}

// cloudsOf are the clouds to which an address belongs.
func cloudsOf(address string, signIn bool) []Cloud {
	given, err := url.Parse(address)
	if err != nil {
		return nil
	}
	var clouds []Cloud
	for _, c := range Clouds() {
		authority, base := c.Addresses()
		if signIn {
			base = authority
		}
		if u, err := url.Parse(base); err == nil && strings.EqualFold(u.Hostname(), given.Hostname()) {
			clouds = append(clouds, c)
		}
	}
	// China's authority has an older name, which still answers.
	if signIn && strings.EqualFold(given.Hostname(), "login.chinacloudapi.cn") {
		clouds = append(clouds, China)
	}
	return clouds
}
