package graphtest

import "strings"

// name is a name in its own script and what it becomes in an address.
type name struct{ own, ascii string }

// script is a stock of names that go together, and where the people who bear them tend to work.
type script struct {
	given, family []name
	// familyFirst and joined say how a display name is put together: "김민준", "山田 太郎".
	familyFirst, joined bool
	weight              int
	offices             []int
	language            string
}

// office is a place of work.
type office struct{ city, country, usage, postal, street, room, phone, mobile string }

// stock is everything that people are made from.
type stock struct {
	scripts     []script
	weights     int
	offices     []office
	departments []department
}

type department struct {
	name   string
	titles []string
	centre string
}

func newStock() *stock {
	s := &stock{scripts: scripts(), offices: offices(), departments: departments()}
	for _, x := range s.scripts {
		s.weights += x.weight
	}
	return s
}

// names reads "Own=ascii" separated by commas; without "=" the name is its own address in lower case.
func names(list string) []name {
	var out []name
	for item := range strings.SplitSeq(list, ",") {
		own, ascii, ok := strings.Cut(item, "=")
		if !ok {
			ascii = strings.ToLower(own)
		}
		out = append(out, name{own, ascii})
	}
	return out
}

// scripts are the stocks of names. Zoë and Bùi are spelled with combining marks, as some directories have them.
func scripts() []script {
	return []script{
		{weight: 40, offices: []int{0, 1, 2, 3}, language: "en-US",
			given:  names("Adele,Alex,Allan,Ben,Brian,Cameron,Christie,Debra,Diego,Emily,Enrico,Grady,Henrietta,Irvin,Isaiah,Johanna,Joni,Jordan,Lee,Lidia,Lynne,Megan,Miriam,Nestor,Patti,Pradeep,Raul,Lynn,Mary Ann=maryann,Jo-Anne=jo-anne,Samuel,Tariq,Wanjiru,Chinedu,Thandiwe"),
			family: names("Vance,Wilber,Deyoung,Walters,Johnson,White,Cline,Berger,Siciliani,Braun,Cattaneo,Archie,Mueller,Jovanovic,Langer,Lorenz,Sherman,Miller,Gu,Holloway,Robbins,Bowen,Graham,Wilke,Fernandez,Gupta,Razzaq,O'Brien=obrien,D'Angelo=dangelo,van der Berg=vanderberg,de la Cruz=delacruz,St. John=stjohn,McAllister,Smith-Jones=smith-jones,Okafor,Mwangi")},
		{weight: 25, offices: []int{0, 3, 4, 5}, language: "de-DE",
			given:  names("José=jose,François=francois,Jürgen=juergen,Søren=soeren,Łukasz=lukasz,Zoe\u0308=zoe,Chloé=chloe,Björn=bjoern,Anaïs=anais,Gülşen=gulsen,İbrahim=ibrahim,Žofia=zofia,Ágnes=agnes,Nuño=nuno,Hélène=helene,Đorđe=djordje,Thảo=thao,Ólafur=olafur,Māra=mara,Ştefan=stefan,Åsa=asa"),
			family: names("García=garcia,Müller=mueller,Großmann=grossmann,Ångström=angstrom,Dvořák=dvorak,Szczęsny=szczesny,Øvergård=oevergaard,Lefèvre=lefevre,Núñez=nunez,Yıldız=yildiz,Šimková=simkova,Nagy-Kovács=nagy-kovacs,Þórsdóttir=thorsdottir,Bu\u0300i=bui,Nguyễn=nguyen,Çelik=celik,Ionescu-Brăila=ionescu-braila,de Sá=desa,Kļaviņš=klavins,Petrović=petrovic")},
		{weight: 6, offices: []int{6}, language: "bg-BG",
			given:  names("Юлия=yuliya,Алексей=aleksey,Ольга=olga,Дмитро=dmytro,Светлана=svetlana,Георги=georgi,Наталія=nataliya,Иван=ivan,Љубица=ljubica,Фёдор=fyodor"),
			family: names("Иванова=ivanova,Шевченко=shevchenko,Петров=petrov,Ковальчук=kovalchuk,Соколова=sokolova,Димитров=dimitrov,Јовановић=jovanovic,Щербаков=shcherbakov,Ґонта=gonta")},
		{weight: 4, offices: []int{7}, language: "el-GR",
			given:  names("Ελένη=eleni,Γιώργος=giorgos,Αθηνά=athina,Νίκος=nikos,Χρήστος=christos,Σοφία=sofia"),
			family: names("Παπαδόπουλος=papadopoulos,Νικολαΐδης=nikolaidis,Οικονόμου=oikonomou,Ψαρρά=psarra,Βασιλείου=vasileiou")},
		{weight: 5, offices: []int{8}, language: "ar-EG",
			given:  names("فاطمة=fatima,محمد=mohammed,ليلى=layla,عمر=omar,نور=nour,عبد الرحمن=abdulrahman,مريم=maryam"),
			family: names("حسن=hassan,المصري=elmasry,الخطيب=alkhatib,منصور=mansour,بن سالم=binsalem,عبدالله=abdullah")},
		{weight: 3, offices: []int{9}, language: "he-IL",
			given:  names("נועה=noa,דוד=david,תמר=tamar,יוסף=yosef,רבקה=rivka,איתי=itai"),
			family: names("כהן=cohen,לוי=levi,מזרחי=mizrahi,פרץ=peretz,בן־דוד=bendavid,שפירא=shapira")},
		{weight: 6, offices: []int{10}, language: "hi-IN",
			given:  names("प्रिया=priya,अर्जुन=arjun,कविता=kavita,विक्रम=vikram,आदित्य=aditya,लक्ष्मी=lakshmi"),
			family: names("शर्मा=sharma,वर्मा=verma,गुप्ता=gupta,कृष्णन=krishnan,सिंह=singh,देशपांडे=deshpande")},
		{weight: 6, offices: []int{11}, language: "zh-CN", familyFirst: true, joined: true,
			given:  names("伟=wei,秀英=xiuying,小明=xiaoming,丽=li,建国=jianguo,𠮷=ji,雪梅=xuemei"),
			family: names("王=wang,李=li,张=zhang,欧阳=ouyang,刘=liu,司马=sima,陈=chen")},
		{weight: 3, offices: []int{12}, language: "ko-KR", familyFirst: true, joined: true,
			given:  names("민준=minjun,서연=seoyeon,지훈=jihun,하은=haeun,현우=hyunwoo"),
			family: names("김=kim,이=lee,박=park,최=choi,남궁=namgung")},
		{weight: 3, offices: []int{13}, language: "ja-JP", familyFirst: true,
			given:  names("さくら=sakura,ケンジ=kenji,はな=hana,タロウ=taro,ゆい=yui,リョウ=ryo"),
			family: names("やまだ=yamada,スズキ=suzuki,たかはし=takahashi,サトウ=sato,わたなべ=watanabe")},
	}
}

func offices() []office {
	return []office{
		{"Redmond", "United States", "US", "98052", "One Contoso Way", "18/2111", "+1 425 555 01", "+1 (206) 555-01"},
		{"Pittsburgh", "United States", "US", "15212", "200 River Avenue", "19/3123", "+1 412 555 01", "412.555.01"},
		{"London", "United Kingdom", "GB", "EC2A 4NE", "22 Paul Street", "20/1101", "+44 20 7946 00", "+44 7700 9000"},
		{"Berlin", "Germany", "DE", "10117", "Unter den Linden 17", "B1", "+49 30 23125 0", "+49 171 39200"},
		{"København", "Denmark", "DK", "1434", "Philip Heymans Allé 3", "N. 2.14", "+45 32 12 34 ", "+45 20 12 34 "},
		{"São Paulo", "Brazil", "BR", "04543-011", "Av. Pres. Juscelino Kubitschek, 1909", "7º andar", "+55 11 4002 00", "+55 11 91234 00"},
		{"София", "Bulgaria", "BG", "1000", "бул. „Витоша“ 15", "ет. 3", "+359 2 981 00 ", "+359 88 811 00 "},
		{"Αθήνα", "Greece", "GR", "105 57", "Λεωφόρος Αμαλίας 26", "Γ12", "+30 21 0322 00", "+30 69 7012 00"},
		{"القاهرة", "Egypt", "EG", "11511", "12 شارع طلعت حرب", "٢٠٤", "+20 2 2574 00", "+20 100 123 00"},
		{"תל אביב", "Israel", "IL", "6473921", "דרך מנחם בגין 132", "קומה 9", "+972 3 607 00", "+972 54 123 00"},
		{"Chennai", "India", "IN", "600 113", "No. 4, Rajiv Gandhi Salai (OMR)", "Tower B, 6", "+91 44 6670 00", "+91 98400 000"},
		{"北京", "China", "CN", "100080", "海淀区丹棱街5号", "1号楼 302", "+86 10 5917 00", "+86 138 1000 00"},
		{"서울", "Korea, Republic of", "KR", "03142", "종로구 종로1길 50", "중학빌딩 A동", "+82 2 1577 97", "010-1234-00"},
		{"東京", "Japan", "JP", "108-0075", "港区港南 2-16-3", "品川グランドセントラルタワー", "+81 3 4332 53", "090-1234-00"},
	}
}

func departments() []department {
	return []department{
		{"Sales", []string{"Account Manager", "Sales Representative", "VP Sales", "Sales Engineer"}, "4100"},
		{"Marketing", []string{"Product Marketing Manager", "Marketing Assistant", "Brand Designer"}, "4200"},
		{"Engineering", []string{"Software Engineer", "Senior Software Engineer", "Site Reliability Engineer", "Engineering Manager"}, "5100"},
		{"Research & Development", []string{"Research Scientist", "Laboratory Technician"}, "5200"},
		{"Human Resources", []string{"HR Business Partner", "Recruiter"}, "6100"},
		{"Finance", []string{"Controller", "Accountant, \"senior\"", "Financial Analyst"}, "6200"},
		{"Legal", []string{"Counsel", "Paralegal"}, "6300"},
		{"Operations", []string{"Logistics Planner", "Warehouse Lead", "Facility Manager"}, "7100"},
		{"Support", []string{"Support Engineer", "Service Desk Analyst"}, "7200"},
	}
}
