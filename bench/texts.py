"""Texts in many scripts, to hold the token estimate against tokenizers. All of them were written for this purpose."""

from __future__ import annotations

import base64
import json
import random

__all__ = ["texts"]

_PROSE = {
    "English": (
        "The harbour was quiet when we arrived, and only one boat was still out. My sister counted the lamps along the "
        "pier while I looked for somebody who could tell us where the ferry would leave. An old man with a net over "
        "his shoulder said that it had been cancelled because of the wind, and that we should try again tomorrow."
    ),
    "English, chat": (
        "hey, can you check why the nightly build failed again? I think it's the same test as last week, but I'm not "
        "sure. If it is, just re-run it & ping Dana, she'll know what to do. Thanks! Also: lunch at 12:30?"
    ),
    "German": (
        "Der Zug hatte eine halbe Stunde Verspätung, und niemand wusste, ob der Anschluss in Göttingen noch warten "
        "würde. Im Abteil nebenan übte jemand Klarinette. Ich schrieb meiner Schwägerin, dass wir wahrscheinlich erst "
        "gegen Mitternacht ankommen und sie uns nicht abzuholen braucht."
    ),
    "French": (
        "Le marché était déjà presque fini quand nous sommes arrivés, mais la boulangère avait gardé deux pains pour "
        "nous. Elle nous a demandé des nouvelles de la famille, puis elle a parlé longtemps de la sécheresse, des "
        "élèves qui ne viennent plus et de l'été qui n'en finit pas."
    ),
    "Polish": (
        "Wczoraj wieczorem przyszła do nas sąsiadka i poprosiła o pożyczenie drabiny, bo jej kot znowu siedział na "
        "dachu. Zdjęliśmy go dopiero po godzinie, a potem piliśmy herbatę z miodem i słuchaliśmy, jak opowiada o "
        "swoich podróżach po całej Europie."
    ),
    "Turkish": (
        "Dün akşam komşumuz kapıyı çaldı ve merdivenimizi ödünç istedi, çünkü kedisi yine çatıya çıkmıştı. Bir saat "
        "uğraştıktan sonra onu indirdik, ardından birlikte çay içtik ve gençliğinde yaptığı uzun yolculukları dinledik."
    ),
    "Vietnamese": (
        "Tối qua người hàng xóm sang mượn chiếc thang vì con mèo của bà lại leo lên mái nhà. Phải mất một tiếng chúng "
        "tôi mới đưa được nó xuống, rồi cả nhà ngồi uống trà và nghe bà kể về những chuyến đi thời còn trẻ."
    ),
    "Russian": (
        "Вчера вечером к нам зашла соседка и попросила одолжить лестницу, потому что её кот опять сидел на крыше. Мы "
        "сняли его только через час, а потом долго пили чай с мёдом и слушали, как она рассказывает о своих "
        "путешествиях по Сибири."
    ),
    "Ukrainian": (
        "Учора ввечері до нас зайшла сусідка й попросила позичити драбину, бо її кіт знову сидів на даху. Ми зняли "
        "його лише за годину, а потім довго пили чай із медом і слухали, як вона розповідає про свої мандрівки."
    ),
    "Greek": (
        "Χθες το βράδυ ήρθε η γειτόνισσα και ζήτησε να της δανείσουμε τη σκάλα, γιατί η γάτα της ήταν πάλι στη στέγη. "
        "Την κατεβάσαμε ύστερα από μία ώρα και μετά ήπιαμε τσάι με μέλι και ακούσαμε ιστορίες από τα ταξίδια της."
    ),
    "Armenian": (
        "Երեկ երեկոյան հարևանուհին եկավ և խնդրեց մեր աստիճանը, որովհետև նրա կատուն նորից տանիքին էր։ Մեկ ժամ անց "
        "իջեցրինք նրան, հետո թեյ խմեցինք ու լսեցինք նրա պատմությունները։"
    ),
    "Georgian": (
        "გუშინ საღამოს მეზობელი მოვიდა და კიბე გვთხოვა, რადგან მისი კატა ისევ სახურავზე იჯდა. ერთი საათის შემდეგ "
        "ჩამოვიყვანეთ, მერე ჩაი დავლიეთ და მის ამბებს ვუსმინეთ."
    ),
    "Hebrew": (
        "אתמול בערב באה אלינו השכנה וביקשה לשאול את הסולם, כי החתול שלה שוב ישב על הגג. הורדנו אותו רק אחרי שעה, ואחר "
        "כך שתינו תה עם דבש והקשבנו לסיפורים על המסעות שלה."
    ),
    "Arabic": (
        "جاءت إلينا الجارة مساء أمس وطلبت أن تستعير السلم لأن قطتها كانت على السطح مرة أخرى. أنزلناها بعد ساعة كاملة، "
        "ثم شربنا الشاي بالعسل واستمعنا إلى حكاياتها عن الأسفار الطويلة في شبابها."
    ),
    "Persian": (
        "دیشب همسایه‌مان آمد و نردبان را قرض خواست، چون گربه‌اش دوباره روی پشت‌بام رفته بود. یک ساعت طول کشید تا او را "
        "پایین بیاوریم، بعد با هم چای خوردیم و به داستان سفرهایش گوش دادیم."
    ),
    "Hindi": (
        "कल शाम हमारी पड़ोसन आई और उसने सीढ़ी माँगी, क्योंकि उसकी बिल्ली फिर से छत पर बैठी थी। एक घंटे के बाद हमने उसे नीचे "
        "उतारा, फिर हमने शहद वाली चाय पी और उसकी यात्राओं की कहानियाँ सुनीं।"
    ),
    "Bengali": (
        "গতকাল সন্ধ্যায় আমাদের প্রতিবেশী এসে মইটা ধার চাইলেন, কারণ তাঁর বিড়াল আবার ছাদে উঠে বসেছিল। এক ঘণ্টা পরে আমরা তাকে "
        "নামালাম, তারপর চা খেতে খেতে তাঁর ভ্রমণের গল্প শুনলাম।"
    ),
    "Tamil": (
        "நேற்று மாலை எங்கள் பக்கத்து வீட்டுக்காரர் வந்து ஏணியைக் கேட்டார், ஏனெனில் அவருடைய பூனை மீண்டும் கூரையில் இருந்தது. "
        "ஒரு மணி நேரத்திற்குப் பிறகு அதைக் கீழே இறக்கினோம், பின்னர் தேநீர் குடித்தோம்."
    ),
    "Telugu": (
        "నిన్న సాయంత్రం మా పొరుగింటి ఆమె వచ్చి నిచ్చెన అడిగింది, ఎందుకంటే ఆమె పిల్లి మళ్ళీ పైకప్పు మీద కూర్చుంది. గంట తర్వాత దాన్ని కిందికి "
        "దించాము, తర్వాత టీ తాగాము."
    ),
    "Thai": (
        "เมื่อวานตอนเย็นเพื่อนบ้านมาขอยืมบันได เพราะแมวของเธอขึ้นไปอยู่บนหลังคาอีกแล้ว เราใช้เวลาหนึ่งชั่วโมงกว่าจะพามันลงมา "
        "หลังจากนั้นเราดื่มชาด้วยกันและฟังเรื่องการเดินทางของเธอ"
    ),
    "Chinese": (
        "昨天晚上邻居过来借梯子，因为她的猫又爬到屋顶上去了。我们花了一个小时才把它抱下来，然后一起喝了加蜂蜜的茶，听她讲年轻时候"
        "到各地旅行的故事。她说最远的一次去了新疆，在火车上坐了三天三夜。"
    ),
    "Chinese, traditional": (
        "昨天晚上鄰居過來借梯子，因為她的貓又爬到屋頂上去了。我們花了一個小時才把牠抱下來，然後一起喝了加蜂蜜的茶，聽她講年輕時候"
        "到各地旅行的故事。"
    ),
    "Japanese": (
        "昨日の夜、隣の人がはしごを借りに来ました。猫がまた屋根に登ってしまったそうです。"
        "一時間ほどかかってやっと下ろし、そのあと"
        "一緒にお茶を飲みながら、若いころの旅行の話をゆっくり聞きました。"
    ),
    "Korean": (
        "어제저녁에 이웃집 아주머니가 사다리를 빌리러 오셨다. 고양이가 또 지붕 위에 올라갔기 때문이다. "
        "한 시간이 지나서야 겨우 내려오게 했고, 그다음에 꿀차를 마시며 젊은 시절 여행 이야기를 들었다."
    ),
    "Emoji": ("Great job 🎉🎉 see you at 8 🍕🍺 don't be late 😂😂😂 👍🏽 ❤️ family trip 👨‍👩‍👧 ✈️ 🇫🇷 done ✅"),
}

_PYTHON = '''
def merge_intervals(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join what overlaps; the result is in ascending order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


class RetryPolicy:
    def __init__(self, attempts: int = 3, base_delay: float = 0.25) -> None:
        self.attempts = attempts
        self.base_delay = base_delay

    def delay(self, attempt: int) -> float:
        return self.base_delay * 2 ** (attempt - 1)
'''

_SCRIPT = """
export async function loadOrders(userId, { page = 1, size = 50 } = {}) {
  const response = await fetch(`/api/v2/users/${userId}/orders?page=${page}&size=${size}`);
  if (!response.ok) {
    throw new HttpError(response.status, await response.text());
  }
  const { items, total } = await response.json();
  return { items: items.map((item) => ({ ...item, price: Number(item.price) })), total };
}
"""

_TABLE = """
| region | orders | revenue | change |
|---|---:|---:|---:|
| north | 1,204 | 48,310.50 | +3.2% |
| south | 987 | 39,002.10 | -1.1% |
| east | 1,530 | 61,877.00 | +7.9% |
"""


def _records() -> str:
    chance = random.Random(5)
    rows = [
        {
            "id": f"ord_{chance.randrange(10**6):06d}",
            "customer": {"name": chance.choice(["Ines", "Tomas", "Aiko"]), "active": chance.random() < 0.5},
            "total": round(chance.uniform(5, 500), 2),
            "tags": chance.sample(["new", "gift", "priority", "returned"], 2),
        }
        for _ in range(8)
    ]
    return json.dumps(rows)


def _log() -> str:
    chance = random.Random(6)
    lines: list[str] = []
    for _ in range(8):
        day, hour, minute, millis = (chance.randrange(*bounds) for bounds in ((1, 29), (24,), (60,), (1000,)))
        level, status = chance.choice(["INFO", "WARN", "ERROR"]), chance.choice([200, 404, 503])
        lines.append(
            f"2026-03-{day:02d}T{hour:02d}:{minute:02d}:07.{millis:03d}Z {level} worker-{chance.randrange(9)} request "
            f"id={chance.randrange(1 << 32):08x} took {chance.randrange(2000)} ms, status {status}"
        )
    return "\n".join(lines)


def texts() -> dict[str, str]:
    """Name and text of each sample: prose of a few sentences, code, data, and what only machines write."""
    chance = random.Random(7)
    blob = chance.randbytes(600)
    return {
        **_PROSE,
        "Python": _PYTHON,
        "JavaScript": _SCRIPT,
        "Markdown table": _TABLE,
        "JSON": _records(),
        "Log": _log(),
        "Digits": " ".join(str(chance.randrange(10**9)) for _ in range(40)),
        "Hex": blob.hex(),
        "Base64": base64.b64encode(blob).decode(),
        "UUIDs": "\n".join(f"{chance.randrange(1 << 128):032x}" for _ in range(12)),
        "Capitals": "WARNING: DO NOT REMOVE THE COVER WHILE THE MACHINE IS RUNNING. CALL THE SERVICE DESK FIRST. " * 3,
    }
