"""The words of the little world: common nouns and invented names, by kind."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# People and villages of everyday stories; none of them has an article in the wiki.
CHILDREN = _words(
    "민서 지후 서연 도윤 하은 시우 예준 수아 지안 건우 다은 유준 소율 현우 채원 은호 나윤 태오 "
    "아린 준서 가은 승민 보라 재윤 슬기 한결 초롱 새봄 이든 라온 주원 하람 미르 단비 별하 누리"
)
VILLAGES = _words(
    "감나무골 배꽃골 솔밭골 샘터골 바람골 안개골 달빛골 돌담골 대숲골 버들골 연못골 밤나무골 "
    "은행골 갈대골 참새골 물레골 장터골 언덕골 모래골 억새골 별빛골 산딸골 반딧골 느티골"
)

# What people and villages have, by kind: the values that a question asks for.
THINGS = {
    "물건": _words(
        "연필 우산 모자 장갑 가방 시계 공책 신발 안경 풍선 담요 인형 거울 지갑 목도리 부채"
    ),
    "음식": _words(
        "떡국 만두 비빔밥 국수 김밥 수제비 호박죽 잡채 식혜 군밤 감자전 두부찌개 팥죽 빈대떡"
    ),
    "동물": _words(
        "강아지 고양이 토끼 거북이 앵무새 염소 오리 다람쥐 금붕어 병아리 조랑말 고슴도치"
    ),
    "장소": _words(
        "도서관 수영장 박물관 놀이터 바닷가 식물원 동물원 과수원 미술관 기차역 온천 등대"
    ),
    "기술": _words("피아노 수영 바둑 서예 태권도 뜨개질 목공 가야금 그림 춤 사진 원예"),
    "직업": _words("의사 화가 목수 요리사 기자 농부 선생님 소방관 가수 조종사 과학자 재단사"),
    "시설": _words("우체국 빵집 약국 서점 병원 방앗간 대장간 찻집 극장 양조장 목욕탕 꽃집"),
    "작물": _words("감자 고구마 옥수수 수박 참외 배추 마늘 고추 포도 딸기 보리 메밀"),
    "행사": _words(
        "연날리기 씨름대회 줄다리기 달맞이 노래자랑 윷놀이 불꽃놀이 널뛰기 그네뛰기 탈춤"
    ),
    "나무": _words(
        "소나무 향나무 벚나무 단풍나무 버드나무 전나무 동백나무 자작나무 오동나무 호두나무"
    ),
}

# What the wiki tells of: the cities, the people and the offices of the land, by invented names.
_HEADS = _words("가 나 다 라 마 바 사 아 자 차 하 고")
_CITY_TAILS = _words("담 란 솔 온 천")
_RULER_TAILS = _words("겸 녕 률 선 헌")
_OFFICE_TAILS = _words("감 방 원")


def invented(kind: str) -> tuple[str, ...]:
    """Every name that the kind ('city', 'ruler' or 'office') can have, two syllables each."""
    tails = {"city": _CITY_TAILS, "ruler": _RULER_TAILS, "office": _OFFICE_TAILS}[kind]
    return tuple(head + tail for head in _HEADS for tail in tails)


WIKI_THINGS = {
    "지방": _words("동해 서림 남원 북령 중평 고원 호수 섬나루"),
    "특산물": _words(
        "도자기 한지 비단 소금 인삼 벌꿀 녹차 대나무 옻칠 벼루 삼베 은그릇 나침반 유리 "
        "종이우산 붓 진주 미역 버섯 잣 대추 곶감 참기름 놋그릇 돗자리 자개장"
    ),
    "축제": _words(
        "등불제 모내기제 고래제 눈꽃제 단오제 은하제 수확제 뱃노래제 매화제 갈대제 얼음제 "
        "반달제 들불제 연꽃제 무지개제 구름제 메아리제 달집제 꽃등제 소원제"
    ),
    "강": _words(
        "맑은내 긴내 푸른내 검은내 누런내 흰내 굽은내 여울내 버들내 모래내 솔내 은내 달내 별내 "
        "돌내 바람내"
    ),
    "새": _words(
        "두루미 까치 황새 제비 꾀꼬리 부엉이 올빼미 기러기 뻐꾸기 딱따구리 물총새 종달새 백로 "
        "수리"
    ),
    "법": _words(
        "균세법 호적법 둔전법 대동법 과거법 순찰법 곡식법 도량법 화폐법 역참법 산림법 수리법 "
        "군역법 신문법 공납법 토지법 상업법 어업법 노비법 학교법"
    ),
    "책": _words(
        "산하기 농사록 별자리책 약초전 바다지 왕조사 음악보 지리서 의례문 병법서 역법집 시문선 "
        "풍속도 건축술 동물지 어부사 여행기 법률집 상인록 천문도"
    ),
    "일": _words(
        "세금 군대 외교 교육 재판 기록 건설 의약 제사 농업 무역 음악 천문 인쇄 우편 소방 치안 "
        "어업 광업 번역"
    ),
    "달": _words("일월 이월 삼월 사월 오월 유월 칠월 팔월 구월 시월 동짓달 섣달"),
}
