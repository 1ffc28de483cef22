//! Words of phrases by which people tell a model what to do, in many languages. A word with `*` may go
//! on. They are compared without regard to case and accents.

/// Sets something aside; what it sets aside follows.
pub(super) const VERB: u8 = 1;
/// The same at the end of a clause.
pub(super) const VERB_LAST: u8 = 2;
/// Says which instructions.
pub(super) const QUALIFIER: u8 = 4;
/// Instructions.
pub(super) const NOUN: u8 = 8;
/// Asks to be told.
pub(super) const REVEAL: u8 = 16;
/// What only a model has.
pub(super) const OF_MODEL: u8 = 32;
/// Enough alone.
pub(super) const PHRASE: u8 = 64;

#[rustfmt::skip]
pub(super) const WORDS: [(u8, &[&str]); 9] = [
    (VERB, &[
        "ignore", "ignoring", "disregard", "disregarding", "forget", "override", "bypass", "circumvent",
        "do not follow", "don't follow", "do not obey", "don't obey", "stop following", "stop obeying",
        "pay no attention to", "set aside", "discard",
        "ignoriere", "ignorier", "vergiss", "vergessen sie", "missachte", "missachten sie", "umgehe",
        "umgehen sie", "überschreibe", "befolge nicht", "halte dich nicht an", "beachte nicht", "beachte nicht mehr", "setze dich hinweg über", "verwirf",
        "lass außer acht",
        "ignorez", "ignores", "oublie", "oubliez", "ne tiens pas compte", "ne tenez pas compte",
        "ne suis pas", "ne suivez pas", "contourne", "contournez", "fais abstraction", "faites abstraction", "n'applique pas", "laisse tomber",
        "fais fi",
        "ignora", "ignorad", "ignoren", "olvida", "olvide", "olvidad", "haz caso omiso", "haga caso omiso",
        "no sigas", "no siga", "no hagas caso de", "no tengas en cuenta", "descarta", "deja de seguir", "pasa por alto",
        "ignorate", "ignori", "dimentica", "dimenticate", "dimentichi", "scorda", "scordati", "tralascia",
        "tralasciate", "non considerare", "non seguire", "non seguite", "non tenere conto", "trascura",
        "trascurate", "lascia perdere", "lascia stare",
        "negeer", "vergeet", "omzeil", "volg niet",
        "esqueça", "esquece", "desconsidere", "desconsidera", "não siga",
        "zignoruj", "ignoruj", "zapomnij", "pomiń",
        "игнорируй*", "проигнорируй*", "забудь*", "не следуй*", "не обращай внимания на",
        "تجاهل", "تجاهلي", "تجاهلوا", "انس", "انسى",
        "忽略", "无视", "無視", "忘记", "忘掉", "不要遵守",
    ]),
    (VERB | VERB_LAST, &["ignorieren", "vergessen", "missachten", "außer acht lassen", "negeren"]),
    (VERB_LAST, &[
        "無視して*", "無視しろ", "無視せよ", "忘れて*", "忘れろ", "従わないで*",
        "무시*", "잊어*",
        "yok say*", "görmezden gel*", "unut", "dikkate alma",
        "अनदेखा", "नज़रअंदाज़", "भूल जाओ",
    ]),
    (QUALIFIER, &[
        "previous", "prior", "preceding", "above", "earlier", "foregoing", "your", "system", "original",
        "initial", "hidden", "developer", "existing", "given to you",
        "vorherige*", "vorige*", "vorangehende*", "vorangegangene*", "bisherige*", "obige*", "obenstehende*",
        "frühere*", "deine*", "ursprüngliche*", "alle anweisungen", "oben", "weiter oben", "oben genannte*",
        "obengenannte*", "vorstehende*", "voranstehende*", "bis jetzt", "von vorhin",
        "précédent*", "antérieur*", "ci-dessus", "tes", "vos", "initiales", "plus haut", "susmentionn*", "d'avant",
        "du dessus",
        "anterior*", "previas", "previos", "de arriba", "tus", "de antes", "arriba indicad*", "mencionad*",
        "precedentes",
        "precedent*", "tue", "tuoi", "iniziali", "sopra", "qui sopra", "di sopra", "sopra indicat*", "suddett*",
        "di prima", "ricevut*",
        "vorige", "eerdere", "voorgaande", "bovenstaande", "jouw", "hierboven",
        "acima", "suas", "prévias",
        "poprzedni*", "powyższ*", "wcześniejsz*", "swoje",
        "предыдущ*", "прошл*", "прежн*", "вышеуказанн*", "свои",
        "السابقة", "السابق", "أعلاه", "المذكورة", "تعليماتك",
        "之前", "以上", "先前", "上面", "前面", "上述", "所有",
        "以前", "前の", "これまで", "上記", "すべての", "全ての",
        "이전*", "위의", "앞의", "모든",
        "önceki*", "yukarıdaki*",
        "पिछले", "पहले के", "उपरोक्त",
    ]),
    (NOUN, &[
        "instruction*", "rules", "guideline*", "prompt*", "directive*", "safeguard*", "guardrail*",
        "anweisung*", "instruktion*", "vorgaben", "regeln", "befehl*",
        "consigne*", "directives", "règles", "instructions", "ordres",
        "instrucci*", "indicaciones", "reglas", "órdenes", "directrices", "normas",
        "istruzion*", "direttive", "regole", "indicazioni", "ordini", "comandi",
        "instructies", "aanwijzingen", "opdrachten",
        "instruç*", "diretrizes", "regras",
        "instrukcj*", "polece*", "zasady",
        "инструкци*", "указани*", "правила", "команды",
        "التعليمات", "الأوامر", "التوجيهات", "تعليماتك",
        "指令", "指示", "提示", "规则", "規則", "命令", "プロンプト",
        "지시*", "명령*", "프롬프트*",
        "talimat*",
        "निर्देश*",
    ]),
    (QUALIFIER | NOUN, &[
        "all instructions", "any instructions", "all prompts", "toutes les instructions",
        "todas las instrucciones", "tutte le istruzioni", "alle instructies", "todas as instruções",
    ]),
    (REVEAL, &[
        "reveal", "print", "show", "repeat", "output", "display", "disclose", "leak", "tell me", "give me",
        "write down", "what is", "what are",
        "zeige", "zeig", "nenne", "verrate", "gib", "wiederhole", "wie lautet",
        "révèle*", "affiche*", "répète*", "montre*", "donne*", "muestra", "revela", "repite", "mostra",
        "rivela", "ripeti", "toon", "herhaal", "pokaż", "ujawnij", "покажи*", "повтори*", "раскрой*",
        "اعرض", "اكشف", "كرر", "显示", "输出", "重复", "告诉我", "表示して", "教えて", "göster",
    ]),
    (OF_MODEL | QUALIFIER | NOUN, &[
        "system prompt*", "systemprompt*", "system-prompt*", "system message", "your prompt",
        "initial prompt", "hidden prompt", "prompt système", "invite système", "prompt del sistema",
        "prompt di sistema", "prompt do sistema", "системный промпт", "системные инструкции",
        "موجه النظام", "系统提示*", "系統提示*", "システムプロンプト", "시스템 프롬프트*", "sistem istemi*",
    ]),
    (PHRASE, &[
        "reveal your instructions", "repeat your instructions", "print your instructions",
        "ignore everything above", "disregard everything above", "forget everything you were told",
        "forget everything you have been told",
        "you are no longer bound", "you are now dan", "do anything now", "developer mode enabled",
        "you are now in developer mode", "you are now an ai", "you are now a language model",
        "you are now unrestricted", "act as an unrestricted", "act as an ai", "pretend you are an ai",
        "pretend to be an ai", "from now on you answer", "from now on you respond",
        "do not tell the user", "don't tell the user", "without telling the user",
        "do not mention this to the user", "do not reveal this to the user",
        "vergiss alles bisherige", "du bist jetzt eine ki", "du bist jetzt ein sprachmodell",
        "ab jetzt antwortest du", "antworte ab jetzt", "sag dem nutzer nicht", "sage dem nutzer nicht",
        "ohne es dem nutzer zu sagen",
        "oublie tout ce qui précède", "oubliez tout ce qui précède", "tu es maintenant une ia",
        "à partir de maintenant tu réponds", "ne le dis pas à l'utilisateur",
        "ne dis pas à l'utilisateur",
        "olvida todo lo anterior", "ahora eres una ia", "a partir de ahora responde*",
        "no le digas al usuario",
        "dimentica tutto quello che ti", "ora sei un'ia", "da ora in poi rispondi", "non dire all'utente",
        "vergeet alles hierboven", "je bent nu een ai", "vanaf nu antwoord je",
        "esqueça tudo acima", "agora você é uma ia", "não diga ao usuário",
        "zapomnij o wszystkim powyżej", "jesteś teraz modelem",
        "забудь все что было выше", "теперь ты ии", "не говори пользователю",
        "أنت الآن نموذج", "لا تخبر المستخدم",
        "从现在开始你是", "从现在起你是", "你现在是一个ai", "不要告诉用户",
        "これからあなたはai", "ユーザーには言わないで",
        "지금부터 너는 ai", "사용자에게 말하지 마", "artık bir yapay zekasın", "kullanıcıya söyleme",
        "उपयोगकर्ता को मत बताना",
    ]),
];

/// Words before a verb that turn it into its opposite.
#[rustfmt::skip]
pub(super) const BEFORE: [&str; 30] = [
    "do not", "don't", "don\u{2019}t", "dont", "must not", "mustn't", "should not", "shouldn't", "may not", "cannot",
    "can't", "never", "not to", "nicht", "nie", "niemals", "n'", "n\u{2019}", "ne", "no", "nunca", "non", "mai", "nao",
    "niet", "nooit", "nigdy", "не", "никогда", "لا",
];

/// Words after a verb that do.
pub(super) const AFTER: [&str; 9] = [
    "nicht",
    "nie",
    "niemals",
    "bitte nicht",
    "pas",
    "jamais",
    "niet",
    "nooit",
    "mai",
];

/// Marks of chat formats, and whether they count at the start of a line only.
pub(super) const MARKS: [(&str, bool); 36] = [
    ("<|im_start|>", false),
    ("<|im_end|>", false),
    ("<|system|>", false),
    ("<|user|>", false),
    ("<|assistant|>", false),
    ("<|endoftext|>", false),
    ("<|eot_id|>", false),
    ("<|start_header_id|>", false),
    ("<|begin_of_text|>", false),
    ("<start_of_turn>", false),
    ("<end_of_turn>", false),
    ("<<sys>>", false),
    ("<</sys>>", false),
    ("[inst]", false),
    ("[/inst]", false),
    ("<|end|>", false),
    ("<|start|>", false),
    ("<|channel|>", false),
    ("<|message|>", false),
    ("<|im_sep|>", false),
    ("<|end_header_id|>", false),
    ("<|end_of_text|>", false),
    ("<|tool|>", false),
    ("[system_prompt]", false),
    ("[/system_prompt]", false),
    ("<system>", false),
    ("</system>", false),
    ("<system_prompt>", false),
    ("</system_prompt>", false),
    ("### instruction", true),
    ("### system", true),
    ("### assistant", true),
    ("system prompt:", true),
    ("system message:", true),
    ("assistant:", true),
    ("human:", true),
];
