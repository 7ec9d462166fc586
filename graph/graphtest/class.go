package graphtest

// The objects of a directory are users or, when it has members, groups. What differs between the two is told here.

// odataType is the type by which Graph calls the objects.
func (d *directory) odataType() string {
	if d.members != nil {
		return groupObject
	}
	return userObject
}

const (
	userObject  = "#microsoft.graph.user"
	groupObject = "#microsoft.graph.group"
)

// set is the name of the collection in paths and in @odata.context.
func (d *directory) set() string {
	if d.members != nil {
		return "groups"
	}
	return "users"
}

// defaults are the properties that are sent when nothing is selected, besides the id.
func (d *directory) defaults() []string {
	if d.members != nil {
		return defaultGroupProperties()
	}
	return defaultProperties()
}

func (d *directory) untrackable(name string) bool {
	if d.members != nil {
		return untrackableOfGroup(name)
	}
	return untrackable(name)
}

func (d *directory) known(name string) bool {
	if d.members != nil {
		return knownOfGroup(name)
	}
	return known(name)
}

// isCollection tells the properties that are an empty list rather than null when they were never set.
func (d *directory) isCollection(name string) bool {
	if d.members != nil {
		switch name {
		case "assignedLabels", "assignedLicenses", "creationOptions", "groupTypes", "onPremisesProvisioningErrors",
			"proxyAddresses", "resourceBehaviorOptions", "resourceProvisioningOptions", "serviceProvisioningErrors":
			return true
		}
		return false
	}
	return isCollection(name)
}

// membersProperty is the relation of a group to its members, as $select of a delta query names it.
const membersProperty = "members"

// defaultGroupProperties are what Graph sends of a group when nothing is selected (Graph reference, list groups).
func defaultGroupProperties() []string {
	return []string{"createdDateTime", "description", "displayName", "groupTypes", "mail", "mailEnabled", "mailNickname",
		"membershipRule", "membershipRuleProcessingState", "onPremisesSecurityIdentifier", "onPremisesSyncEnabled",
		"proxyAddresses", "renewedDateTime", "resourceProvisioningOptions", "securityEnabled", "securityIdentifier",
		"uniqueName", "visibility"}
}

// untrackableOfGroup are the properties of groups that delta queries refuse to select (Graph reference, group resource).
func untrackableOfGroup(name string) bool {
	switch name {
	case "accessType", "allowExternalSenders", "autoSubscribeNewMembers", "cloudLicensing", "hideFromAddressLists",
		"hideFromOutlookClients", "isArchived", "isFavorite", "isSubscribedByMail", "membershipRuleProcessingStatus",
		"unseenConversationsCount", "unseenCount", "unseenMessagesCount",
		// Relations that are not tracked.
		"memberOf", "transitiveMemberOf", "transitiveMembers", "photo":
		return true
	}
	return false
}

// knownOfGroup are the other properties of a group in Graph v1.0, and the two relations that can be tracked. Nobody
// owns a group here.
func knownOfGroup(name string) bool {
	switch name {
	case "assignedLabels", "assignedLicenses", "classification", "createdDateTime", "creationOptions", "deletedDateTime",
		"description", "displayName", "expirationDateTime", "groupTypes", "hasMembersWithLicenseErrors", "id",
		"isAssignableToRole", "isManagementRestricted", "licenseProcessingState", "mail", "mailEnabled", "mailNickname",
		membersProperty, "membershipRule", "membershipRuleProcessingState", "onPremisesDomainName",
		"onPremisesLastSyncDateTime", "onPremisesNetBiosName", "onPremisesProvisioningErrors", "onPremisesSamAccountName",
		"onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "owners", "preferredDataLocation", "preferredLanguage",
		"proxyAddresses", "renewedDateTime", "resourceBehaviorOptions", "resourceProvisioningOptions", "securityEnabled",
		"securityIdentifier", "serviceProvisioningErrors", "theme", "uniqueName", "visibility":
		return true
	}
	return isExtension(name)
}
